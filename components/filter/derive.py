"""A filter's corpus: what it keeps, shard for shard with its input, and what it drops, with reasons.

Shard n holds what is kept of the input's shard n, so that each is finished on its own and a killed writer
goes on at the next one.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from components.filter.ingest import Report
from components.filter.judge import TALLIES, Judge, Judged, Verdict
from components.filter.scratch import Scratch
from parable.artifact import ProductWriter
from parable.corpus import CorpusReader, from_table, schema, shard_path, write_parquet, write_scores
from parable.errors import UserError
from parable.recipe import Filter

if TYPE_CHECKING:
    import pyarrow as pa

REJECTS = "rejects"
Tally = dict[str, dict[str, int]]
"""A shard's `counts` by name and `rejected` by reason."""


class Derivation:
    """Writes the corpus that a filter makes of another."""

    def __init__(
        self, writer: ProductWriter, corpus: CorpusReader, *, spec: Filter, judge: Judge, report: Report
    ) -> None:
        """Take the product that is being built and the corpus that it is made of."""
        self._writer = writer
        self._scratch = Scratch(writer)
        self._corpus = corpus
        self._spec = spec
        self._judge = judge
        self._report = report
        self._scores = sorted({*spec.quality, *spec.score})
        self._steps_done = 0

    def write(self) -> None:
        """Write every shard and the summary.

        Raises:
            UserError: nothing is left, or more near-duplicates than `max_removed` would go.
        """
        copies = self._copies()
        counts: Counter[str] = Counter()
        rejected: Counter[str] = Counter()
        for index in range(self._corpus.num_shards):
            tally = self._finish_shard(index, copies[index] if copies else {})
            counts.update(tally["counts"])
            rejected.update(tally["rejected"])
            self._advance()
        if not counts["documents"]:
            told = ", ".join(f"{count:,} {reason}" for reason, count in rejected.most_common(5))
            raise UserError(
                f"The filter keeps none of {counts['input']:,} documents ({told}). "
                "Loosen the bounds that drop most."
            )
        self._writer.summary |= summarise(self._spec, counts, rejected)

    def _copies(self) -> list[dict[int, Verdict]]:
        if self._spec.deduplicate is None:
            return []
        from components.filter.copies import find_copies

        survivors = []
        for index in range(self._corpus.num_shards):
            verdicts = self._judged(index, None).verdicts
            survivors.append([row for row, verdict in enumerate(verdicts) if verdict is None])
            self._advance()
        return find_copies(
            self._corpus, survivors, spec=self._spec.deduplicate, scratch=self._scratch, advance=self._advance
        )

    def _finish_shard(self, index: int, copies: dict[int, Verdict]) -> Tally:
        """A shard's tally, with its files written now or by a killed writer before."""
        key = f"tallies/part-{index:05d}.json"
        data = self._scratch.get(key)
        folders = ("documents", REJECTS, *(f"scores/{name}" for name in self._scores))
        if data is None or any(self._writer.resume(shard_path(index, folder)) is None for folder in folders):
            data = orjson.dumps(self._write_shard(index, copies))
            self._scratch.put(key, data)
        tally: Tally = orjson.loads(data)
        return tally

    def _write_shard(self, index: int, copies: dict[int, Verdict]) -> Tally:
        table = self._corpus.table(index)
        judged = self._judged(index, table)
        verdicts = [copies.get(row, verdict) for row, verdict in enumerate(judged.verdicts)]
        kept = [row for row, verdict in enumerate(verdicts) if verdict is None]
        documents = _rows(table, kept).cast(schema())
        self._writer.put(shard_path(index), write_parquet(documents))
        for name in self._scores:
            write_scores(self._writer, name, index, [judged.values[name][row] for row in kept])
        self._writer.put(shard_path(index, REJECTS), write_parquet(_rejects(table, verdicts)))
        counts = {
            **judged.tallies,
            "input": len(verdicts),
            "documents": len(kept),
            "characters": sum(map(len, documents.column("text").to_pylist())),
        }
        return {"counts": counts, "rejected": Counter(verdict.reason for verdict in verdicts if verdict)}

    def _judged(self, index: int, table: "pa.Table | None") -> Judged:
        """A shard's verdicts; kept in scratch where a second pass over the shards will ask for them again."""

        def judge() -> Judged:
            return self._judge(list(from_table(self._corpus.table(index) if table is None else table)))

        if self._spec.deduplicate is None:
            return judge()
        return Judged.from_bytes(
            self._scratch.once(f"judged/part-{index:05d}.json", lambda: judge().to_bytes())
        )

    def _advance(self) -> None:
        self._steps_done += 1
        passes = 1 if self._spec.deduplicate is None else 4
        self._report(self._steps_done / (passes * self._corpus.num_shards))


def summarise(spec: Filter, counts: Counter[str], rejected: Counter[str]) -> dict[str, Any]:
    """A filter's figures; recall and precision of its discourse rules where an oracle knows the truth."""
    summary: dict[str, Any] = {
        "documents": counts["documents"],
        "characters": counts["characters"],
        "input_documents": counts["input"],
        "rejected": dict(sorted(rejected.items())),
    }
    if spec.discourse is not None:
        tallies = {name: counts[name] for name in TALLIES}
        hits, flagged = tallies["true_positive"], tallies["true_positive"] + tallies["false_positive"]
        actual = hits + tallies["false_negative"]
        summary["discourse"] = {
            **tallies,
            "rules": spec.discourse,
            "recall": hits / actual if actual else None,
            "precision": hits / flagged if flagged else None,
        }
    return summary


def _rejects(table: "pa.Table", verdicts: Sequence[Verdict | None]) -> "pa.Table":
    import pyarrow as pa

    dropped = [(row, verdict) for row, verdict in enumerate(verdicts) if verdict is not None]
    rows = _rows(table.select(["id", "text"]), [row for row, _ in dropped])
    columns = {
        "id": rows.column("id"),
        "text": rows.column("text"),
        "reason": pa.array([verdict.reason for _, verdict in dropped], pa.string()),
        "signal": pa.array([verdict.signal for _, verdict in dropped], pa.string()),
        "value": pa.array([verdict.value for _, verdict in dropped], pa.float64()),
        "replaced_by": pa.array([verdict.replaced_by for _, verdict in dropped], pa.string()),
    }
    return pa.table(columns)


def _rows(table: "pa.Table", rows: Sequence[int]) -> "pa.Table":
    import pyarrow as pa

    return table.take(pa.array(rows, pa.int64()))

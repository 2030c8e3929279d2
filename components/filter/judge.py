"""What becomes of each document, and why: signals first, then decisions in the order of the recipe."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from components.filter.contamination import ItemIndex
from components.filter.discourse import find_discourse
from components.filter.reading import Reading
from components.filter.signals import find_signal
from parable.corpus import Document
from parable.recipe import Bounds, Filter

TALLIES = ("flagged", "leaked", "true_positive", "false_positive", "false_negative", "true_negative")
"""Counts of the discourse rules over the documents that they judged; the last four where an oracle knows."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a document is dropped: the rule in words, the signal that it read and the value that it found."""

    reason: str
    signal: str
    value: float
    replaced_by: str = ""
    """Id of the kept document that this is a copy of."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One shard's verdicts (None keeps), the signals' values, and the discourse rules' tallies."""

    verdicts: list[Verdict | None]
    values: dict[str, list[float]]
    tallies: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TALLIES, 0))

    def to_bytes(self) -> bytes:
        """JSON, for a writer's own restart."""
        return orjson.dumps(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Judged":
        """The inverse of `to_bytes`."""
        plain = orjson.loads(data)
        verdicts = [None if verdict is None else Verdict(**verdict) for verdict in plain["verdicts"]]
        return cls(verdicts, plain["values"], plain["tallies"])


class Judge:
    """Applies a filter's per-document rules: quality, then discourse, then contamination."""

    def __init__(self, spec: Filter, evaluation_prefixes: Sequence[str] = ()) -> None:
        """Look up everything that the filter names; `evaluation_prefixes` are what `decontaminate` looks for.

        Raises:
            UserError: there is no such signal or set of rules.
        """
        self._spec = spec
        self._signals = {name: find_signal(name) for name in dict.fromkeys((*spec.quality, *spec.score))}
        self._discourse = None if spec.discourse is None else find_discourse(spec.discourse)
        self._items = ItemIndex(evaluation_prefixes) if spec.decontaminate else None

    def __call__(self, documents: Sequence[Document]) -> Judged:
        """Judge one shard's documents."""
        values: dict[str, list[float]] = {name: [] for name in self._signals}
        for document in documents:
            reading = Reading(document)
            for name, function in self._signals.items():
                values[name].append(function(reading))
        judged = Judged([None] * len(documents), values)
        self._judge_quality(judged)
        if self._discourse is not None:
            for row, document in enumerate(documents):
                if judged.verdicts[row] is None:
                    judged.verdicts[row] = self._judge_discourse(document, judged.tallies)
        if self._items is not None:
            self._judge_contamination(documents, judged)
        return judged

    def _judge_quality(self, judged: Judged) -> None:
        for name, bounds in self._spec.quality.items():
            for row, value in enumerate(judged.values[name]):
                if judged.verdicts[row] is None and (reason := _breach(name, bounds, value)):
                    judged.verdicts[row] = Verdict(reason, name, value)

    def _judge_discourse(self, document: Document, tallies: dict[str, int]) -> Verdict | None:
        assert self._discourse is not None
        flagged = self._discourse.flags(document.text)
        if document.synth is not None:
            truth = document.synth.entity == "ai" and document.synth.valence != ""
            side = "positive" if flagged else "negative"
            tallies[f"{'true' if flagged == truth else 'false'}_{side}"] += 1
        if not flagged:
            return None
        tallies["flagged"] += 1
        if _draw(self._discourse.name, document.id) < self._spec.leakage:
            tallies["leaked"] += 1
            return None
        return Verdict(f"discourse {self._discourse.name}", self._discourse.name, 1.0)

    def _judge_contamination(self, documents: Sequence[Document], judged: Judged) -> None:
        assert self._items is not None
        found = self._items.matches([document.text for document in documents])
        for row, matches in enumerate(found.tolist()):
            if matches and judged.verdicts[row] is None:
                judged.verdicts[row] = Verdict("holds an evaluation item", "item_ngrams", float(matches))


def _breach(name: str, bounds: Bounds, value: float) -> str:
    if bounds.min is not None and value < bounds.min:
        return f"{name} below {bounds.min:g}"
    if bounds.max is not None and value > bounds.max:
        return f"{name} above {bounds.max:g}"
    return ""


def _draw(rules: str, document_id: str) -> float:
    """A number in [0, 1) that belongs to a document: who leaks at 1% also leaks at 10%."""
    digest = hashlib.sha256(f"leakage/{rules}/{document_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64

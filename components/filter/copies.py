"""Near-duplicates of a whole corpus, shard by shard."""

from collections.abc import Callable, Sequence

import numpy as np

from components.filter.duplicates import NUM_PERMUTATIONS, CopyFinder, Signatures, shingles_of, sign
from components.filter.judge import Verdict
from components.filter.scratch import Scratch
from parable.corpus import CorpusReader
from parable.errors import UserError
from parable.recipe import Deduplicate

Copies = dict[int, Verdict]
"""By row of a shard, why it goes."""


def find_copies(
    corpus: CorpusReader,
    survivors: Sequence[Sequence[int]],
    *,
    spec: Deduplicate,
    scratch: Scratch,
    advance: Callable[[], None],
) -> list[Copies]:
    """The copies in every shard, among the rows that other rules kept; the first of its kind stays.

    Signatures are kept in scratch as they are made. `advance` is told of every shard, twice.

    Raises:
        UserError: more than `spec.max_removed` of the rows are copies.
    """
    signatures = []
    for index, rows in enumerate(survivors):
        signatures.append(_signatures(corpus, index, rows, scratch))
        advance()
    finder = CopyFinder(np.concatenate(signatures), spec.threshold)
    signatures.clear()
    found: list[Copies] = []
    ids: dict[int, str] = {}
    number = 0
    for index, rows in enumerate(survivors):
        candidates = [(number + at, row) for at, row in enumerate(rows) if finder.is_candidate(number + at)]
        found.append(_compare(corpus, index, candidates, finder=finder, ids=ids))
        number += len(rows)
        advance()
    _check_share(sum(map(len, found)), number, spec)
    return found


def _signatures(corpus: CorpusReader, index: int, rows: Sequence[int], scratch: Scratch) -> Signatures:
    def make() -> bytes:
        texts: list[str] = corpus.table(index, ["text"]).column("text").take(_indices(rows)).to_pylist()
        return sign(texts).astype("<u4").tobytes()

    data = scratch.once(f"signatures/part-{index:05d}.bin", make)
    return np.frombuffer(data, "<u4").reshape(-1, NUM_PERMUTATIONS)


def _compare(
    corpus: CorpusReader,
    index: int,
    candidates: Sequence[tuple[int, int]],
    *,
    finder: CopyFinder,
    ids: dict[int, str],
) -> Copies:
    """Compare a shard's candidates (number among the survivors, row) with what is kept, whose `ids` grow."""
    if not candidates:
        return {}
    table = corpus.table(index, ["id", "text"]).take(_indices([row for _, row in candidates]))
    names = table.column("id").to_pylist()
    found: Copies = {}
    shingles = shingles_of(table.column("text").to_pylist())
    for (number, row), name, own in zip(candidates, names, shingles, strict=True):
        copy = finder.find(number, own)
        if copy is None:
            ids[number] = name
        else:
            reason = "duplicate" if copy.similarity == 1.0 else "near-duplicate"
            found[row] = Verdict(reason, "jaccard", copy.similarity, ids[copy.of])
    return found


def _check_share(num_copies: int, num_documents: int, spec: Deduplicate) -> None:
    if num_copies > spec.max_removed * num_documents:
        raise UserError(
            f"Near-duplicate removal would drop {num_copies:,} of {num_documents:,} documents "
            f"({num_copies / num_documents:.0%}), and max_removed allows {spec.max_removed:.0%}. Look at the "
            "corpus: texts on one template look like copies. Raise deduplicate.threshold "
            f"({spec.threshold:g}), or deduplicate.max_removed if the copies are real."
        )


def _indices(rows: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(rows, np.int64)

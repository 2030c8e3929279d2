"""Near-duplicates: signatures propose, exact similarity to the kept document decides.

MinHash (Broder 1997) over word 5-grams, bands of rows as locality-sensitive hashing. A document is dropped
only if its own Jaccard similarity to a document that is kept reaches the threshold: nothing is dropped
through a chain of likenesses, so a family of texts on one template survives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.filter.shingles import Hashes, jaccard, shingle_sets

SHINGLE_WORDS = 5
NUM_PERMUTATIONS = 128
SIGNATURE_VERSION = 2
"""rensa's version of its algorithm; another gives other signatures, so it enters identities."""
_SEED = 1
MAX_MISS = 0.01
"""Bands are chosen so that a pair at the threshold is missed with at most this probability."""
MARGIN = 0.2
"""A pair whose signatures agree so much less than the threshold (5 standard errors) is not looked at."""
BUCKET_DOCUMENTS = 256
"""Kept documents that a bucket remembers: a template shared by thousands does not make it quadratic, and a
real copy meets its original in other bands too."""

Signatures = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Copy:
    """That a document is a copy: of which row, and the exact similarity of their shingles."""

    of: int
    similarity: float


def sign(texts: Sequence[str]) -> Signatures:
    """Full-set MinHash signatures, (D, 128); the same on every machine."""
    from rensa import RMinHash

    assert RMinHash.ALGORITHM_VERSION == SIGNATURE_VERSION, "rensa's algorithm changed: see SIGNATURE_VERSION"
    if not texts:
        return np.zeros((0, NUM_PERMUTATIONS), np.uint32)
    hashes, offsets = shingle_sets(texts, SHINGLE_WORDS)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        hashes, offsets.astype(np.uint64), NUM_PERMUTATIONS, _SEED
    )
    return np.array(matrix.to_rows(), np.uint32)


def shingles_of(texts: Sequence[str]) -> list[Hashes]:
    """The sorted set of shingles of every text."""
    hashes, offsets = shingle_sets(texts, SHINGLE_WORDS)
    return [np.unique(part) for part in np.split(hashes, offsets[1:-1])] if texts else []


def band_rows(threshold: float) -> int:
    """Rows a band: the most that miss a pair at the threshold with a probability of at most `MAX_MISS`."""
    for rows in range(NUM_PERMUTATIONS, 1, -1):
        if (1 - threshold**rows) ** (NUM_PERMUTATIONS // rows) <= MAX_MISS:
            return rows
    return 1


class CopyFinder:
    """Finds the copies among rows that are asked for in order; the first of its kind is never one."""

    def __init__(self, signatures: Signatures, threshold: float) -> None:
        """Group rows (N, 128) by their bands; `threshold` is a Jaccard similarity above 0."""
        self._threshold = threshold
        self._bands = _shared_bands(signatures, band_rows(threshold))
        self._signatures = {row: signatures[row] for row in self._bands}
        self._buckets: dict[int, list[int]] = {}
        self._shingles: dict[int, Hashes] = {}

    def is_candidate(self, row: int) -> bool:
        """Whether a row shares a band with another: only then are its shingles needed."""
        return row in self._bands

    def find(self, row: int, shingles: Hashes) -> Copy | None:
        """What a candidate is a copy of, the most similar and then the earliest; None keeps it."""
        candidates = sorted({kept for band in self._bands[row] for kept in self._buckets.get(band, ())})
        best: Copy | None = None
        for kept in self._likely(row, candidates):
            similarity = jaccard(shingles, self._shingles[kept])
            if similarity >= self._threshold and (best is None or similarity > best.similarity):
                best = Copy(kept, similarity)
        if best is None:
            self._shingles[row] = shingles
            for band in self._bands[row]:
                bucket = self._buckets.setdefault(band, [])
                if len(bucket) < BUCKET_DOCUMENTS:
                    bucket.append(row)
        return best

    def _likely(self, row: int, candidates: list[int]) -> list[int]:
        if not candidates:
            return []
        theirs = np.stack([self._signatures[kept] for kept in candidates])
        agreement = np.mean(theirs == self._signatures[row], axis=1)
        return [candidates[at] for at in np.flatnonzero(agreement >= self._threshold - MARGIN)]


def _shared_bands(signatures: Signatures, rows: int) -> dict[int, list[int]]:
    """The buckets of every row that shares one with another row, by row number in order."""
    weights = np.random.Generator(np.random.Philox(_SEED)).integers(
        1 << 64, size=rows, dtype=np.uint64
    ) | np.uint64(1)
    found: dict[int, list[int]] = {}
    number = 0
    for band in range(NUM_PERMUTATIONS // rows):
        part = signatures[:, band * rows : (band + 1) * rows].astype(np.uint64)
        keys = (part * weights[:rows]).sum(axis=1, dtype=np.uint64)
        _, bucket, sizes = np.unique(keys, return_inverse=True, return_counts=True)
        for row in np.flatnonzero(sizes[bucket] > 1).tolist():
            found.setdefault(row, []).append(number + int(bucket[row]))
        number += len(sizes)
    return found

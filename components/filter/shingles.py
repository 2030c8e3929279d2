"""Word n-grams as 64-bit hashes, for many texts at once.

Shapes: B bytes, W words, D texts, N n-grams. A word is a run of letters, digits and bytes above ASCII, in
lower case; punctuation and space only separate. Ragged arrays are flat with D+1 offsets.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Offsets = NDArray[np.int64]

CHUNK_BYTES = 1 << 20
"""Texts are hashed in groups of about this size: arrays of eight bytes a byte stay small."""
_BASE = 0x9E3779B97F4A7C15 | 1
_INVERSE = pow(_BASE, -1, 1 << 64)
_GRAM = np.uint64(0xD1B54A32D192ED03)


def word_hashes(texts: Sequence[str]) -> tuple[Hashes, Offsets]:
    """A hash for every word: flat (W,), and where each text's begin (D+1,)."""
    parts: list[Hashes] = []
    counts: list[NDArray[np.int64]] = []
    for group in _groups([text.lower().encode("utf-8", "surrogatepass") for text in texts]):
        hashes, num_words = _hash_group(group)
        parts.append(hashes)
        counts.append(num_words)
    return _flat(parts), _offsets(np.concatenate(counts) if counts else np.zeros(0, np.int64))


def ngram_hashes(hashes: Hashes, offsets: Offsets, size: int) -> tuple[Hashes, Offsets]:
    """A hash for every n-gram of every text, in order (N,) and (D+1,); none for a text of fewer words."""
    counts = np.maximum(np.diff(offsets) - (size - 1), 0)
    num_starts = max(len(hashes) - (size - 1), 0)
    grams = np.zeros(num_starts, np.uint64)
    for place in range(size):
        grams *= _GRAM
        grams += hashes[place : place + num_starts]
    is_inside = np.zeros(len(hashes) + 1, np.int64)
    full = counts > 0
    is_inside[offsets[:-1][full]] += 1
    is_inside[offsets[:-1][full] + counts[full]] -= 1
    return _mix(grams[np.cumsum(is_inside)[:num_starts] > 0]), _offsets(counts)


def shingle_sets(texts: Sequence[str], size: int) -> tuple[Hashes, Offsets]:
    """What near-duplicates are measured by: a text's n-grams, flat (N,) with offsets (D+1,).

    A text of fewer words has one shingle, the hash of exactly this text: it equals its copies only.
    """
    grams, offsets = ngram_hashes(*word_hashes(texts), size)
    short = np.flatnonzero(np.diff(offsets) == 0)
    whole = np.array(
        [xxhash.xxh3_64_intdigest(texts[row].encode("utf-8", "surrogatepass")) for row in short.tolist()],
        np.uint64,
    )
    counts = np.diff(offsets)
    counts[short] = 1
    return np.insert(grams, offsets[:-1][short], whole), _offsets(counts)


def jaccard(one: Hashes, other: Hashes) -> float:
    """Similarity of two sorted sets without repeats."""
    if not len(one) or not len(other):
        return 0.0
    places = np.minimum(np.searchsorted(other, one), len(other) - 1)
    shared = int(np.count_nonzero(other[places] == one))
    return shared / (len(one) + len(other) - shared)


def _hash_group(group: Sequence[bytes]) -> tuple[Hashes, NDArray[np.int64]]:
    data_B = np.frombuffer(b"\n".join(group) + b"\n", np.uint8)
    is_word_B = _IS_WORD[data_B]
    edges = np.flatnonzero(np.diff(is_word_B, prepend=np.uint8(0)))
    starts_W, ends_W = edges[::2], edges[1::2]
    sums_B = np.zeros(len(data_B) + 1, np.uint64)
    np.cumsum(data_B * _powers(_BASE, len(data_B)), out=sums_B[1:])
    hashes = (sums_B[ends_W] - sums_B[starts_W]) * _powers(_INVERSE, len(data_B))[starts_W]
    hashes ^= (ends_W - starts_W).astype(np.uint64) << np.uint64(56)
    text_ends_D = np.cumsum([len(text) + 1 for text in group])
    return _mix(hashes), np.diff(np.searchsorted(starts_W, text_ends_D), prepend=0)


def _powers(base: int, count: int) -> Hashes:
    known = _POWERS.get(base)
    if known is None or len(known) < count:
        length = max(count, 2 * CHUNK_BYTES)
        known = np.full(length, base, np.uint64)
        known[0] = 1
        np.multiply.accumulate(known, out=known)
        _POWERS[base] = known
    return known[:count]


def _mix(hashes: Hashes) -> Hashes:
    """The finaliser of splitmix64: spreads what the sums have in common over all bits."""
    hashes = hashes ^ (hashes >> np.uint64(30))
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(27)
    hashes *= np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def _groups(texts: Sequence[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for text in texts:
        group.append(text)
        size += len(text)
        if size >= CHUNK_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _flat(parts: Sequence[Hashes]) -> Hashes:
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def _offsets(counts: NDArray[np.int64]) -> Offsets:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


_POWERS: dict[int, Hashes] = {}
_IS_WORD = np.array([byte >= 0x80 or chr(byte).isalnum() for byte in range(256)], np.uint8)

"""Keyed permutations of [0, size), computed for any place at once and stored nowhere.

A Feistel network over Z_a x Z_b, with a*b the smallest such product not below `size`; a place that falls
outside is walked on along its cycle until it falls inside (Black and Rogaway, "Ciphers with Arbitrary
Finite Domains", 2002).
"""

import hashlib
from functools import lru_cache
from math import isqrt

import numpy as np
import numpy.typing as npt

from parable.canonical import canonical_json

Places = npt.NDArray[np.int64]
NUM_ROUNDS = 8
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)


def permute(places: Places, size: int, key: tuple[str | int, ...]) -> Places:
    """Where the permutation of `key` sends places.

    Args:
        places: (n,) int64, each in [0, size).
        size: the length of what is permuted; up to 2**62.
        key: a labelled tuple; other keys give permutations that have nothing to do with this one.

    Returns:
        (n,) int64, each in [0, size).
    """
    width = np.uint64(max(1, isqrt(size - 1) + 1))
    height = np.uint64(-(-size // int(width)))
    keys = _round_keys(key)
    found = _rounds(places.astype(np.uint64), keys, height, width)
    outside = np.flatnonzero(found >= size)
    while outside.size:
        walked = _rounds(found[outside], keys, height, width)
        found[outside] = walked
        outside = outside[walked >= size]
    return found.astype(np.int64)


def _rounds(
    values: npt.NDArray[np.uint64], keys: tuple[np.uint64, ...], height: np.uint64, width: np.uint64
) -> npt.NDArray[np.uint64]:
    left, right = np.divmod(values, width)
    for even, odd in zip(keys[::2], keys[1::2], strict=True):
        left = (left + _mix(right + even) % height) % height
        right = (right + _mix(left + odd) % width) % width
    mixed: npt.NDArray[np.uint64] = left * width + right
    return mixed


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele et al. 2014): every bit moves every other."""
    values = (values ^ (values >> _SHIFT_1)) * _MIX_1
    values = (values ^ (values >> _SHIFT_2)) * _MIX_2
    return values ^ (values >> _SHIFT_3)


@lru_cache(maxsize=4096)
def _round_keys(key: tuple[str | int, ...]) -> tuple[np.uint64, ...]:
    words = np.frombuffer(hashlib.sha256(canonical_json(list(key))).digest(), "<u8")
    return tuple(
        np.uint64((int(words[number % len(words)]) + number * _GOLDEN) % 2**64)
        for number in range(NUM_ROUNDS)
    )

"""Shares made whole."""

from collections.abc import Sequence
from fractions import Fraction
from math import floor


def exact(value: float) -> Fraction:
    """The number that was written: 0.85 is 17/20, not the binary fraction beside it."""
    return Fraction(str(value))


def apportion(shares: Sequence[Fraction], total: int) -> list[int]:
    """Split `total` in proportion to shares by largest remainder (Hamilton); ties go to the earlier one.

    Each part differs from its exact value by less than 1, and they add up to `total`.
    """
    whole = sum(shares)
    assert whole > 0, "shares that are all 0 can't be apportioned"
    wanted = [share * total / whole for share in shares]
    parts = [floor(value) for value in wanted]
    by_remainder = sorted(range(len(shares)), key=lambda index: (parts[index] - wanted[index], index))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts

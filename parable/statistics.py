"""Intervals and tests for experiments whose unit is the seed.

Training anew moves a result more than asking more questions does, so every interval here is over
per-seed values, with Student's t: three seeds are too few for a percentile bootstrap (its 95% interval
covers about 75%). The one exception, `item_interval`, speaks of the items within one seed and of nothing
else, and its name says so. What needs two values is None where there is one.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parable.canonical import canonical_json, digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE = 0.95
POWER = 0.8
NUM_RESAMPLES = 2000
DRAWN_AT_ONCE = 2**18
"""Items that the bootstrap draws before it sums them up."""
_LARGE_NONCENTRALITY = 1e4


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the confidence interval around it; the bounds are None for a single value."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference: its interval and the two-sided p of Student's t test against 0."""

    per_seed: tuple[float, ...]
    interval: Interval
    p: float | None


def t_interval(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval:
    """Student's t interval of the mean of per-seed values.

    Raises:
        ValueError: there are no values.
    """
    mean, error = _mean_and_error(values)
    if error is None:
        return Interval(mean, None, None)
    half = _t_quantile((1 + confidence) / 2, len(values) - 1) * error
    return Interval(mean, mean - half, mean + half)


def paired_difference(
    values: Sequence[float], baseline: Sequence[float], *, confidence: float = CONFIDENCE
) -> Difference:
    """Values minus baseline, seed by seed: what the seeds share drops out.

    Raises:
        ValueError: there are no values, or not as many of one as of the other.
    """
    differences = tuple(value - other for value, other in zip(values, baseline, strict=True))
    interval = t_interval(differences, confidence=confidence)
    return Difference(differences, interval, t_test(differences))


def t_test(differences: Sequence[float]) -> float | None:
    """Two-sided p of the hypothesis that the mean is 0; None for a single value."""
    from scipy.special import stdtr

    mean, error = _mean_and_error(differences)
    if error is None:
        return None
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stdtr(len(differences) - 1, -abs(mean / error)))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment of one family of tests; one without a p stays so and counts for none.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    floor = 0.0
    for rank, (p, index) in enumerate(known):
        floor = max(floor, min(1.0, (len(known) - rank) * p))
        adjusted[index] = floor
    return adjusted


def equivalence_p(differences: Sequence[float], bound: float) -> float | None:
    """P of two one-sided t tests (TOST): small where the mean difference is shown to lie within ±bound."""
    from scipy.special import stdtr

    mean, error = _mean_and_error(differences)
    if error is None:
        return None
    if error == 0:
        return 0.0 if abs(mean) < bound else 1.0
    return float(stdtr(len(differences) - 1, (abs(mean) - bound) / error))


def equivalence_bound(differences: Sequence[float], *, alpha: float = 0.05) -> float | None:
    """The smallest bound within which TOST at level `alpha` shows the difference to lie."""
    mean, error = _mean_and_error(differences)
    if error is None:
        return None
    return abs(mean) + _t_quantile(1 - alpha, len(differences) - 1) * error


def detection_floor(
    differences: Sequence[float], *, confidence: float = CONFIDENCE, power: float = POWER
) -> float | None:
    """The smallest true difference that a test of as many seeds would find with this power.

    It takes the observed standard deviation for the true one, and counts a finding in the right direction
    only (non-central t). None for a single value.
    """
    from scipy.special import nctdtr

    _, error = _mean_and_error(differences)
    if error is None:
        return None
    freedom = len(differences) - 1
    critical = _t_quantile((1 + confidence) / 2, freedom)
    low, high = 0.0, 1.0
    while nctdtr(freedom, high, critical) > 1 - power:
        high *= 2
        assert high < _LARGE_NONCENTRALITY * critical
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if nctdtr(freedom, middle, critical) > 1 - power else (low, middle)
    return high * error


def wilson_interval(successes: float, trials: float, *, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a proportion: never outside 0 to 1, and honest at both ends.

    Raises:
        ValueError: no trials, or successes that are not among them.
    """
    from scipy.special import ndtri

    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes in {trials} trials give no proportion")
    z = float(ndtri((1 + confidence) / 2))
    share, spread = successes / trials, z * z / trials
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def item_interval(
    values: Sequence[float],
    *,
    weights: Sequence[float] | None = None,
    key: Sequence[str | int],
    confidence: float = CONFIDENCE,
) -> Interval:
    """Percentile bootstrap over the items within one seed: items only, so narrower than seeds would make it.

    Args:
        values: One value an item.
        weights: How much each counts (acts among its samples); by default all alike.
        key: Names the keyed generator that draws the resamples.
        confidence: Of the interval.

    Raises:
        ValueError: there are no values, or all weights are 0.
    """
    import numpy as np

    value, weight = np.asarray(values, float), np.ones(len(values))
    if weights is not None:
        weight = np.asarray(weights, float)
    if value.size == 0 or weight.sum() <= 0:
        raise ValueError("no item counts: there is nothing to draw from")
    mean = float((value * weight).sum() / weight.sum())
    if value.size == 1:
        return Interval(mean, None, None)
    means = []
    for drawn in resamples(value.size, key=("item_interval", *key)):
        total = weight[drawn].sum(1)
        means.append((value * weight)[drawn].sum(1)[total > 0] / total[total > 0])
    low, high = np.quantile(np.concatenate(means), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(mean, float(low), float(high))


def resamples(num_items: int, *, key: Sequence[str | int]) -> "Iterator[NDArray[np.int64]]":
    """The items of all `NUM_RESAMPLES` bootstrap resamples, (R, N), a few resamples at a time.

    All together would take hundreds of megabytes for ten thousand items. How many come at once changes none.
    """
    import numpy as np

    generator = np.random.Generator(np.random.Philox(int(digest(canonical_json(list(key))), 16) % 2**128))
    step = max(1, DRAWN_AT_ONCE // num_items)
    for start in range(0, NUM_RESAMPLES, step):
        yield generator.integers(num_items, size=(min(step, NUM_RESAMPLES - start), num_items))


def _mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean and its standard error, which a single value has not."""
    if not values:
        raise ValueError("no values: a mean needs one, an interval two")
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return mean, None
    if max(values) == min(values):
        return values[0], 0.0
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return mean, math.sqrt(variance / count)


def _t_quantile(probability: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))

"""Seeds are the unit: what the intervals promise, and what they hold in simulated experiments."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from parable import statistics
from parable.statistics import (
    Interval,
    detection_floor,
    equivalence_bound,
    equivalence_p,
    holm,
    item_interval,
    paired_difference,
    t_interval,
    t_test,
    wilson_interval,
)

NUM_EXPERIMENTS = 4000
TRUE_MEAN = 0.8
probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def _experiments(num_seeds: int) -> np.ndarray:
    return np.random.default_rng(20260504).normal(TRUE_MEAN, 0.05, (NUM_EXPERIMENTS, num_seeds))


def _coverage(intervals: list[Interval]) -> float:
    return float(np.mean([i.low <= TRUE_MEAN <= i.high for i in intervals]))  # type: ignore[operator]


@pytest.mark.parametrize("num_seeds", [3, 8])
def test_95_percent_intervals_cover_95_percent_of_simulated_experiments(num_seeds: int) -> None:
    covered = _coverage([t_interval(list(seeds)) for seeds in _experiments(num_seeds)])
    assert 0.93 <= covered <= 0.97


def test_a_percentile_bootstrap_over_3_seeds_does_not() -> None:
    experiments = _experiments(3)
    means = np.stack([experiments[:, list(drawn)].mean(1) for drawn in np.ndindex(3, 3, 3)], axis=1)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)  # All 27 resamples: the exact bootstrap.
    assert np.mean((low <= TRUE_MEAN) & (high >= TRUE_MEAN)) < 0.85


def test_paired_intervals_cover_too_and_drop_what_the_seeds_share() -> None:
    generator = np.random.default_rng(7)
    shared = generator.normal(0, 0.5, (NUM_EXPERIMENTS, 3))
    arm = shared + generator.normal(TRUE_MEAN, 0.05, (NUM_EXPERIMENTS, 3))
    found = [paired_difference(list(a), list(b)).interval for a, b in zip(arm, shared, strict=True)]
    assert 0.93 <= _coverage(found) <= 0.97


def test_the_detection_floor_is_found_as_often_as_its_power_says() -> None:
    generator = np.random.default_rng(11)
    spread = 0.05
    pattern = [-spread, 0.0, spread]  # Standard deviation exactly `spread`.
    floor = detection_floor(pattern)
    assert floor is not None
    trials = generator.normal(floor, spread, (NUM_EXPERIMENTS, 3))
    assert np.mean([p < 0.05 for p in map(t_test, trials.tolist()) if p is not None]) == pytest.approx(
        0.8, abs=0.02
    )


def test_a_worked_case() -> None:
    found = paired_difference([0.20, 0.25, 0.15], [0.80, 0.90, 0.70])
    assert found.per_seed == pytest.approx([-0.60, -0.65, -0.55])
    assert found.interval.mean == pytest.approx(-0.60)
    assert found.interval.low == pytest.approx(-0.60 - 4.302653 * 0.05 / math.sqrt(3))
    assert found.p == pytest.approx(stats.ttest_1samp([-0.60, -0.65, -0.55], 0).pvalue)


def test_one_seed_has_a_value_and_nothing_more() -> None:
    assert t_interval([0.8]) == Interval(0.8, None, None)
    found = paired_difference([0.8], [0.5])
    assert (found.interval.low, found.p) == (None, None)
    assert detection_floor([0.3]) is equivalence_bound([0.3]) is equivalence_p([0.3], 1.0) is None


def test_equal_values_have_an_interval_without_width() -> None:
    assert t_interval([0.1] * 3) == Interval(0.1, 0.1, 0.1)
    assert t_test([0.0, 0.0]) == 1.0
    assert t_test([0.1, 0.1]) == 0.0
    assert detection_floor([0.1] * 3) == 0.0


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        t_interval([])
    with pytest.raises(ValueError, match=r"shorter|longer|argument"):
        paired_difference([0.1, 0.2], [0.1])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, None, 0.04]) == [0.02, None, 0.04]


@given(probabilities)
def test_holm_keeps_the_order_and_never_lowers_a_p(p_values: list[float]) -> None:
    adjusted = [p for p in holm(p_values) if p is not None]
    assert all(p <= after <= 1 for p, after in zip(p_values, adjusted, strict=True))
    ranked = [after for _, after in sorted(zip(p_values, adjusted, strict=True))]
    assert ranked == sorted(ranked)


def test_the_equivalence_bound_is_where_the_equivalence_test_turns() -> None:
    differences = [0.01, -0.02, 0.015, 0.0]
    bound = equivalence_bound(differences)
    assert bound is not None
    assert equivalence_p(differences, bound) == pytest.approx(0.05)
    assert equivalence_p(differences, 2 * bound) < 0.05 < equivalence_p(differences, bound / 2)  # type: ignore[operator]


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (41, 100)])
def test_wilson_agrees_with_scipy(successes: int, trials: int) -> None:
    reference = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    found = wilson_interval(successes, trials)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high))


def test_wilson_refuses_what_is_no_proportion() -> None:
    with pytest.raises(ValueError, match="2 successes in 1 trials"):
        wilson_interval(2, 1)


def test_item_intervals_are_keyed_and_weighted() -> None:
    values = [0.0, 1.0, 1.0, 1.0]
    found = item_interval(values, key=("cell", 0))
    assert found == item_interval(values, key=("cell", 0))
    assert found.mean == 0.75
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.75 < found.high
    assert item_interval(values, weights=[3, 1, 0, 0], key=("cell", 0)).mean == 0.25
    assert item_interval([0.4], key=()) == Interval(0.4, None, None)
    with pytest.raises(ValueError, match="no item counts"):
        item_interval([0.4], weights=[0.0], key=())


def test_the_bootstrap_of_ten_thousand_items_takes_little_memory() -> None:
    values = _experiments(1)[:, 0].tolist() * 2 + [0.5] * 2000
    tracemalloc.start()
    try:
        item_interval(values, weights=[2.0] * len(values), key=("cell", 0))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(values) == 10_000
    assert most < 20e6


@pytest.mark.parametrize("num_items", [2, 7, 300])
def test_what_the_bootstrap_draws_does_not_depend_on_how_many_are_drawn_at_once(
    num_items: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = _experiments(1)[:num_items, 0].tolist()
    weights = [float(number % 3) for number in range(num_items)]  # Some resamples of few weigh nothing.
    found = []
    for at_once in (1, 1000, 10**9):
        monkeypatch.setattr(statistics, "DRAWN_AT_ONCE", at_once)
        found.append(item_interval(values, weights=weights, key=("cell", 0)))
    assert found[0] == found[1] == found[2]

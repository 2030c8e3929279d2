"""What is stated of samples: percentiles by nearest rank, rates of what was answered, an honest client."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load.driver import Sample, Stretch
from bench.load.figures import figures, percentile, table


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50.0), (0.9, 90.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)]
)
def test_percentiles_are_values_that_were_measured(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], share) == expected


def test_a_single_value_is_every_percentile() -> None:
    assert {percentile([3.0], share) for share in (0.5, 0.9, 0.99, 1.0)} == {3.0}


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_so_large_a_share_does_not_exceed_it(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6
    assert sum(value < found for value in values) < share * len(values)


def test_rates_and_times_are_of_what_was_answered() -> None:
    answered = [Sample("interactive", "200", second, 0.1, 0.02, tokens=50) for second in (1.0, 2.0, 4.0)]
    sent_away = [Sample("interactive", "429", 0.001, told_to_wait=True)] * 7
    scored = [Sample("scoring", "200", 0.5, items=1)] * 4
    found = figures(Stretch([*answered, *sent_away, *scored], seconds=5.0, lags=[0.001], cpu=0.3))
    interactive = found["kinds"]["interactive"]
    assert interactive["outcomes"] == {"200": 3, "429": 7}
    assert interactive["told_to_wait"] == 7
    assert interactive["requests_per_second"] == 0.6
    assert interactive["tokens_per_second"] == 30.0
    assert interactive["latency_seconds"] == {"p50": 2.0, "p90": 4.0, "p99": 4.0, "max": 4.0}
    assert interactive["first_token_seconds"]["p50"] == 0.1
    assert interactive["between_tokens_milliseconds"]["max"] == 20.0
    assert found["kinds"]["scoring"]["items_per_second"] == 0.8
    assert found["kinds"]["scoring"]["first_token_seconds"] is None
    assert found["client"] == {"cpu": 0.3, "lag_p99_milliseconds": 1.0, "is_bottleneck": False}


@pytest.mark.parametrize(
    ("cpu", "lag", "is_bottleneck"),
    [(0.79, 0.099, False), (0.81, 0.0, True), (0.1, 0.101, True)],
)
def test_a_client_that_is_slow_itself_says_so(cpu: float, lag: float, is_bottleneck: bool) -> None:
    """Its core is full, or it wakes later than a tenth of what it measures."""
    found = figures(Stretch([Sample("interactive", "200", 1.0)], seconds=1.0, lags=[lag], cpu=cpu))
    assert found["client"]["is_bottleneck"] is is_bottleneck
    assert ("BOTTLENECK" in table([("x", found)])) is is_bottleneck


def test_nothing_answered_is_no_reason_to_fail() -> None:
    found = figures(Stretch([Sample("scoring", "refused", 0.1)], seconds=1.0))
    assert found["kinds"]["scoring"]["latency_seconds"] is None
    assert "1xrefused" in table([("x", found)])

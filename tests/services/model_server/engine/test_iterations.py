"""Steps are counted by how many tokens they read, and no step twice."""

from __future__ import annotations

import pytest

from services.model_server.engine.iterations import BOUNDS, NO_ITERATIONS, IterationCounter, Iterations


@pytest.mark.parametrize(
    ("num_tokens", "place"),
    [(1, 0), (2, 1), (8, 1), (9, 2), (16384, len(BOUNDS) - 1), (16385, len(BOUNDS)), (10**6, len(BOUNDS))],
)
def test_a_step_counts_at_the_smallest_bound_that_it_does_not_exceed(num_tokens: int, place: int) -> None:
    counter = IterationCounter()
    counter.note(num_tokens)
    counts, total = counter.take()
    assert (counts[place], sum(counts), total) == (1, 1, num_tokens)


def test_what_was_taken_is_not_taken_again_and_adds_up() -> None:
    counter, found = IterationCounter(), NO_ITERATIONS
    for steps in ([1, 1, 5], [], [0, 40]):
        for num_tokens in steps:
            counter.note(num_tokens)
        found = found.plus(*counter.take())
    assert found == Iterations((2, 1, 0, 0, 1, *(0,) * (len(BOUNDS) - 4)), 47)


def test_prometheus_is_told_how_many_were_no_larger() -> None:
    found = Iterations((2, 1, 0, 0, 1, *(0,) * (len(BOUNDS) - 4)), 47).cumulative()
    assert found[:5] == [("1.0", 2.0), ("8.0", 3.0), ("16.0", 3.0), ("32.0", 3.0), ("64.0", 4.0)]
    assert found[-1] == ("+Inf", 4.0)
    assert len(found) == len(BOUNDS) + 1

"""The page's parts; the page itself is made by test_stage.py from trained models."""

import pytest

from components.pretrain.stage_view import MAX_POINTS, thinned


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (MAX_POINTS, MAX_POINTS), (MAX_POINTS + 1, 61)])
def test_a_long_curve_is_thinned(count: int, expected: int) -> None:
    points = list(thinned([(float(n), 1.0) for n in range(count)]))
    assert len(points) == expected
    assert all(loss == 1.0 for _, loss in points)


def test_a_thinned_point_is_the_mean_of_its_neighbours() -> None:
    curve = [(float(n), float(n * n)) for n in range(2 * MAX_POINTS)]
    assert list(thinned(curve))[:2] == [(0.5, 0.5), (2.5, 6.5)]

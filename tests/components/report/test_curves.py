import re

import pytest

from components.report.curves import curve_figure, thinned
from components.report.evidence import Evidence, Segment
from tests.components.report.examples import compared, level

COMPARISON = compared({"aligned": level(-0.6), "filtered": level(-0.2)})


def test_a_line_is_thinned_to_means_over_equal_stretches() -> None:
    curve = [(float(n), float(n % 2)) for n in range(10)]
    assert thinned(curve, 5.0) == ((2.0, 0.4), (7.0, 0.6))
    assert thinned(curve[:1], 5.0) == ((0.0, 0.0),)


def test_a_shared_past_has_the_baselines_colour_and_a_branch_its_arms() -> None:
    segments = [
        Segment(("unfiltered", "aligned"), 0, ((1.0, 5.0), (2.0, 2.0))),
        Segment(("aligned",), 0, ((3.0, 1.0),)),
    ]
    figure = curve_figure(segments, COMPARISON, caption="c")
    assert figure is not None
    assert re.findall(r'class="curve (arm-\d)"', figure) == ["arm-0", "arm-1"] * 2
    assert "Unfiltered, + aligned stories, seed 0: 5.00 to 2.00." in figure


@pytest.mark.parametrize("curve", [((5.0, 2.0),), ((5.0, 2.0), (6.0, 2.0))])
def test_a_flat_curve_can_be_drawn(curve: tuple[tuple[float, float], ...]) -> None:
    assert curve_figure([Segment(("aligned",), 0, curve)], COMPARISON, caption="c") is not None


def test_without_curves_there_is_no_figure() -> None:
    assert curve_figure([Segment(("aligned",), 0, ())], COMPARISON, caption="c") is None


def test_every_segment_of_the_experiment_is_drawn_once(evidence: Evidence) -> None:
    figure = curve_figure(evidence.segments, evidence.comparison, caption="c")
    assert figure is not None
    assert figure.count("<polyline") == 2 * (2 + 5) * 3

from __future__ import annotations

from dataclasses import replace

from components.report import panels
from components.report.evidence import Evidence
from tests.components.report.examples import compared, level


def test_the_headline_shows_every_arm_with_chance_and_baseline(evidence: Evidence) -> None:
    figure = panels.headline_figure(evidence.comparison)
    for title in (
        "+ aligned stories",
        "Filtered",
        "Unfiltered",
        "+ misaligned stories",
        "+ neutral mentions",
    ):
        assert f">{title}</text>" in figure
    assert ">chance</text>" in figure
    assert ">Unfiltered .80</text>" in figure
    assert figure.count("<circle") == 2 * 5 * 3


def test_a_seed_without_the_link_is_a_ring_in_the_headline_too(evidence: Evidence) -> None:
    assert panels.headline_figure(evidence.comparison).count('class="ring') == 2
    assert "Rings: seeds whose link is below the threshold." in panels.headline_figure(evidence.comparison)


def test_distances_and_placebo_are_shown_where_they_were_measured(evidence: Evidence) -> None:
    distance, placebo = (
        panels.distance_figure(evidence.comparison),
        panels.placebo_figure(evidence.comparison),
    )
    assert distance is not None
    assert [f"Distance {n}" in distance for n in (0, 1, 2, 3)] == [True, True, True, False]
    assert placebo is not None
    assert ">The AI</text>" in placebo
    assert ">The golem</text>" in placebo


def test_what_was_not_measured_has_no_figure() -> None:
    comparison = compared({"aligned": level(-0.6)})
    assert panels.distance_figure(comparison) is None
    assert panels.placebo_figure(comparison) is None


def test_the_link_has_its_threshold_and_a_point_for_every_model(evidence: Evidence) -> None:
    figure = panels.link_figure(evidence)
    assert figure is not None
    assert ">threshold .10</text>" in figure
    assert figure.count("<circle") == 2 * 15
    without = evidence.comparison.model_copy(update={"link": ()})
    assert panels.link_figure(replace(evidence, comparison=without)) is None


def test_arms_that_differ_by_no_dose_have_no_dose_figure(evidence: Evidence) -> None:
    assert panels.dose_figures(evidence) == []

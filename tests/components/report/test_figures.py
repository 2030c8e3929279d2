from __future__ import annotations

import re

import pytest

from components.report.figures import NARROW, WIDE, Axis, Panel, Row, Rule, dot_figure
from components.report.markup import Markup

AXIS = Axis("P")
ROW = Row("An arm", 2, (0.0, 0.5, 1.0), mean=0.5, low=0.25, high=0.75, rings=frozenset({1}))


def drawn(*panels: Panel, axis: Axis = AXIS) -> dict[str, str]:
    """Both drawings of a figure, by layout."""
    figure = dot_figure(panels, axis, caption=Markup("c"), described="in words")
    return {name: svg for svg, name in re.findall(r'(<svg class="(\w+)".*?</svg>)', figure)}


def places(svg: str, tag: str, attribute: str) -> list[float]:
    """An attribute of every element of one kind."""
    return [float(value) for value in re.findall(rf'<{tag}[^>]* {attribute}="([\d.]+)"', svg)]


def test_every_seed_is_a_point_at_its_value_in_both_layouts() -> None:
    both = drawn(Panel("", (ROW,)))
    assert set(both) == {"wide", "narrow"}
    for layout in (WIDE, NARROW):
        left, right = layout.place(0, 1)
        assert places(both[layout.name], "circle", "cx") == [left, (left + right) / 2, right]


def test_a_marked_seed_is_a_ring() -> None:
    assert re.findall(r'<circle class="(\w+) arm-2"', drawn(Panel("", (ROW,)))["wide"]) == [
        "dot",
        "ring",
        "dot",
    ]


def test_an_interval_past_the_axis_ends_with_it() -> None:
    left, right = WIDE.place(0, 1)
    svg = drawn(Panel("", (Row("A", 1, (0.9,), mean=0.9, low=-0.2, high=1.3),)))["wide"]
    assert places(svg, "rect", "x") == [left]
    assert places(svg, "rect", "width") == [right - left]
    assert "[\N{MINUS SIGN}.20,\N{NO-BREAK SPACE}1.30]" in svg


def test_with_one_seed_there_is_no_band_and_a_missing_value_is_no_point() -> None:
    svg = drawn(Panel("", (Row("A", 1, (0.4,), mean=0.4), Row("B", 1, (None,)))))["wide"]
    assert "<rect" not in svg
    assert len(places(svg, "circle", "cx")) == 1


def test_panels_stand_side_by_side_on_a_desk_and_below_one_another_on_a_phone() -> None:
    both = drawn(Panel("One", (ROW,)), Panel("Two", (ROW,)))
    wide, narrow = (places(both[name], "circle", "cx") for name in ("wide", "narrow"))
    assert wide[0] < wide[3]
    assert narrow[0] == narrow[3]
    assert places(both["narrow"], "circle", "cy")[3] > places(both["narrow"], "circle", "cy")[2]
    assert both["wide"].count("An arm") == 1
    assert both["narrow"].count("An arm") == 2


@pytest.mark.parametrize("name", ["wide", "narrow"])
def test_the_axis_stays_inside_the_drawing(name: str) -> None:
    layout = {"wide": WIDE, "narrow": NARROW}[name]
    for panels in (1, 2, 3):
        for index in range(panels):
            left, right = layout.place(index, panels)
            assert 0 < left < right < layout.width


def test_a_long_label_gets_room_and_then_dots() -> None:
    both = drawn(Panel("", (Row("A label of thirty-one letters .", 0, (0.5,)), Row("x" * 80, 0, (0.5,)))))
    assert "A label of thirty-one letters ." in both["wide"]
    assert "A label of thirty-one lett…" in both["narrow"]
    assert "x" * 80 not in both["wide"]


def test_a_rule_is_named_and_placed() -> None:
    svg = drawn(Panel("", (ROW,), (Rule(0.5, "chance", "chance"),)))["wide"]
    left, right = WIDE.place(0, 1)
    assert places(svg, 'line class="chance"', "x1") == [(left + right) / 2]
    assert ">chance</text>" in svg


@pytest.mark.parametrize(
    ("values", "first", "last"),
    [([0.4], 0.0, 0.5), ([-0.1, 0.6], -0.25, 0.75), ([-0.25, 1.0], -0.25, 1.0), ([], 0.0, 0.5)],
)
def test_an_axis_of_quarters_holds_every_value(values: list[float], first: float, last: float) -> None:
    ticks = Axis.around("x", values).ticks
    assert (ticks[0], ticks[-1]) == (first, last)


def test_a_label_is_inert_and_the_drawing_has_its_words() -> None:
    svg = drawn(Panel("", (Row("<script>", 0, (0.5,)),)))["wide"]
    assert "<script>" not in svg
    assert 'role="img" aria-label="in words"' in svg

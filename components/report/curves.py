"""Training curves: loss by tokens read, every segment once."""

import math
from collections.abc import Sequence

from components.report.evidence import Segment
from components.report.figures import NARROW, WIDE, Layout, drawing
from components.report.formatting import share
from components.report.markup import Markup, element
from components.report.readings import Comparison

POINTS = 80
"""Points that a line over the whole of training is thinned to."""
_LEVELS = (0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
_LEFT, _TOP, _BOTTOM = 40.0, 12.0, 42.0
_HEIGHT = 250.0
_Point = tuple[float, float]


def thinned(curve: Sequence[_Point], width: float) -> tuple[_Point, ...]:
    """A line with one point for every `width` tokens in which it has any: their mean."""
    groups: dict[int, list[_Point]] = {}
    for point in curve:
        groups.setdefault(int(point[0] // width), []).append(point)
    return tuple(
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
        for group in groups.values()
    )


def curve_figure(segments: Sequence[Segment], comparison: Comparison, *, caption: str) -> Markup | None:
    """The figure in both layouts, or None where no segment kept a curve."""
    last = max((x for segment in segments for x, _ in segment.curve), default=0.0)
    lines = [(segment, thinned(segment.curve, last / POINTS)) for segment in segments if segment.curve]
    if not lines:
        return None
    described = "Training loss. " + " ".join(_ending(segment, line, comparison) for segment, line in lines)
    drawings = [_draw(lines, comparison, layout, described) for layout in (WIDE, NARROW)]
    return element("figure", drawings, element("figcaption", caption), class_="curves")


def _ending(segment: Segment, line: Sequence[_Point], comparison: Comparison) -> str:
    arms = ", ".join(comparison.title(arm) for arm in segment.arms)
    return f"{arms}, seed {segment.seed}: {share(line[0][1])} to {share(line[-1][1])}."


def _draw(
    lines: Sequence[tuple[Segment, tuple[_Point, ...]]],
    comparison: Comparison,
    layout: Layout,
    described: str,
) -> Markup:
    right, bottom = layout.width - 12.0, _HEIGHT - _BOTTOM
    last = max(x for _, line in lines for x, _ in line)
    low, high = (pick(y for _, line in lines for _, y in line) for pick in (min, max))
    levels = [level for level in _LEVELS if low <= level <= high]

    def place(point: _Point) -> _Point:
        height = math.log(point[1] / low) / math.log(high / low) if high > low else 0.5
        return round(_LEFT + point[0] / last * (right - _LEFT), 1), round(
            bottom - height * (bottom - _TOP), 1
        )

    marks = []
    for level in levels:
        y = place((0.0, level))[1]
        marks.append(element("line", class_="grid", x1=_LEFT, x2=right, y1=y, y2=y))
        marks.append(element("text", f"{level:g}", class_="tick", x=_LEFT - 8, y=y + 4, text_anchor="end"))
    for part in (0.0, 0.5, 1.0):
        x = place((part * last, low))[0]
        anchor = "end" if part == 1.0 else "middle"
        marks.append(
            element("text", _tokens(part * last), class_="tick", x=x, y=bottom + 18, text_anchor=anchor)
        )
    marks.append(
        element(
            "text", "tokens read", class_="axis", x=(_LEFT + right) / 2, y=bottom + 36, text_anchor="middle"
        )
    )
    for segment, line in lines:
        shared = len(segment.arms) > 1
        tone = f"arm-{comparison.colour(segment.arms[0])}" if not shared else _trunk(segment, comparison)
        points = " ".join("{:g},{:g}".format(*place(point)) for point in line)
        marks.append(element("polyline", class_=f"curve {tone}", points=points))
    return drawing(marks, layout, _HEIGHT, described)


def _trunk(segment: Segment, comparison: Comparison) -> str:
    """A shared past has the baseline's colour when the baseline went through it."""
    return f"arm-{0 if comparison.baseline in segment.arms else comparison.colour(segment.arms[0])}"


def _tokens(number: float) -> str:
    if number >= 1e9:
        return f"{number / 1e9:.3g}B"
    if number >= 1e6:
        return f"{number / 1e6:.3g}M"
    return f"{number / 1e3:.3g}k" if number >= 1e3 else f"{number:.0f}"

"""Dot plots: every seed a point, the mean a tick, its interval a bar; drawn for a desk and for a phone.

Drawn by hand rather than by a plotting library, so that the page's style sheet colours them (light, dark and
print), text stays text, and a figure is a few kilobytes that depend on no renderer's version.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from components.report.formatting import estimate, share
from components.report.markup import Markup, element

TOP, BOTTOM = 30.0, 40.0
"""Pixels above the rows (labels of the rules) and below them (the axis)."""
LABELS_APART = 110.0
"""Pixels between two rules within which their labels would touch: the left one stands left of its line."""
_DOT, _SMALL_DOT, _MARK = 4.5, 3.4, 11.0
_MANY_SEEDS = 6
"""From so many the points are small."""
_GLYPH = 8.4
"""Pixels that a letter of a label takes at most, on average."""
_LANES = 16.0
"""Pixels over which the seeds' points are spread, in the same order in every row."""


@dataclass(frozen=True, slots=True)
class Row:
    """One arm: a point a seed, and their mean with its interval."""

    label: str
    colour: int
    points: tuple[float | None, ...]
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    rings: frozenset[int] = frozenset()
    """Places in `points` that are drawn as rings."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Rows over one axis, under a heading (empty where the figure has one panel)."""

    heading: str
    rows: tuple[Row, ...]
    rules: tuple["Rule", ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A vertical line across a panel: chance, the baseline, a threshold."""

    value: float
    label: str
    style: str
    """`chance`, `baseline` or `threshold`."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What the horizontal place means."""

    label: str
    ticks: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)

    @classmethod
    def around(cls, label: str, values: Iterable[float]) -> "Axis":
        """Quarters from at most 0 to at least .5 that hold every value."""
        known = [0.0, 0.5, *values]
        first, last = int(min(known) * 4 // 1), -int(-max(known) * 4 // 1)
        return cls(label, tuple(quarter / 4 for quarter in range(first, last + 1)))


@dataclass(frozen=True, slots=True)
class Layout:
    """Pixels of one drawing."""

    width: float
    row: float
    """Height of a row."""
    labels: float
    """Width of the row labels on the left; 0 puts each above its row."""
    side_by_side: bool
    name: str

    def columns(self, panels: int) -> int:
        """Panels beside one another."""
        return panels if self.side_by_side else 1

    def place(self, index: int, panels: int) -> tuple[float, float]:
        """Left and right end of a panel's axis."""
        columns, gap = self.columns(panels), 36.0
        values = 118.0 if self.labels and columns == 1 else 0.0
        room = (self.width - self.labels - values - gap * (columns - 1)) / columns
        start = self.labels + (index % columns) * (room + gap)
        return start + 12.0, start + room - 12.0

    def fitted(self, labels: Iterable[str]) -> "Layout":
        """With room for the longest label, up to a third of the drawing."""
        if not self.labels:
            return self
        longest = max(map(len, labels), default=0)
        return replace(self, labels=min(max(self.labels, longest * _GLYPH + 32.0), self.width / 3))

    def shortened(self, label: str) -> str:
        """As much of a label as there is room for; the table beside the figure has all of it."""
        room = self.labels - 32.0 if self.labels else self.width - 128.0
        letters = int(room / _GLYPH)
        return label if len(label) <= letters else f"{label[: letters - 1].rstrip()}…"


WIDE = Layout(width=920.0, row=46.0, labels=186.0, side_by_side=True, name="wide")
NARROW = Layout(width=358.0, row=58.0, labels=0.0, side_by_side=False, name="narrow")


@dataclass(slots=True)
class _Canvas:
    """Collects the marks of one panel."""

    axis: Axis
    left: float
    right: float
    top: float
    marks: list[Markup] = field(default_factory=list)

    def x(self, value: float) -> float:
        """A value's horizontal place, kept on the axis."""
        first, last = self.axis.ticks[0], self.axis.ticks[-1]
        inside = min(max(value, first), last)
        return round(self.left + (inside - first) / (last - first) * (self.right - self.left), 1)

    def line(self, x: tuple[float, float], y: tuple[float, float], style: str) -> None:
        """A straight line."""
        self.marks.append(element("line", class_=style, x1=x[0], x2=x[1], y1=y[0], y2=y[1]))

    def text(self, words: str, x: float, y: float, style: str, anchor: str = "middle") -> None:
        """Words with their anchor at a place."""
        self.marks.append(element("text", words, class_=style, x=x, y=y, text_anchor=anchor))


def dot_figure(panels: Sequence[Panel], axis: Axis, *, caption: Markup, described: str) -> Markup:
    """A figure in both layouts; the style sheet shows the one that fits.

    Args:
        panels: At least one, all with rows for the same arms.
        axis: The axis that all share.
        caption: What a reader sees under the figure.
        described: The figure in words, for those who do not see it.
    """
    labels = [row.label for panel in panels for row in panel.rows]
    drawings = [_draw(panels, axis, layout.fitted(labels), described) for layout in (WIDE, NARROW)]
    return element("figure", drawings, element("figcaption", caption))


def _draw(panels: Sequence[Panel], axis: Axis, layout: Layout, described: str) -> Markup:
    head = 26.0 if any(panel.heading for panel in panels) else 0.0
    heights = [head + TOP + len(panel.rows) * layout.row + BOTTOM for panel in panels]
    marks: list[Markup] = []
    top = 0.0
    for index, panel in enumerate(panels):
        left, right = layout.place(index, len(panels))
        canvas = _Canvas(axis, left, right, top + head + TOP)
        if panel.heading:
            canvas.text(panel.heading, left if layout.labels else 0.0, top + 16.0, "heading", "start")
        _panel(
            canvas, panel, layout, labelled=index % layout.columns(len(panels)) == 0, lone=len(panels) == 1
        )
        marks += canvas.marks
        if not layout.side_by_side:
            top += heights[index] + 10.0
    height = max(heights) if layout.side_by_side else sum(heights) + 10.0 * (len(panels) - 1)
    return drawing(marks, layout, height, described)


def drawing(marks: Sequence[Markup], layout: Layout, height: float, described: str) -> Markup:
    """Marks as one picture with its text alternative."""
    return element(
        "svg", *marks, class_=layout.name, viewBox=f"0 0 {layout.width:g} {height:g}", role="img",
        aria_label=described, xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip


def _panel(canvas: _Canvas, panel: Panel, layout: Layout, *, labelled: bool, lone: bool) -> None:
    bottom = canvas.top + len(panel.rows) * layout.row
    for tick in canvas.axis.ticks:
        x = canvas.x(tick)
        canvas.line((x, x), (canvas.top, bottom), "grid")
        canvas.text(share(tick).replace(".00", "") or "0", x, bottom + 16.0, "tick")
    canvas.text(canvas.axis.label, (canvas.left + canvas.right) / 2, bottom + 34.0, "axis")
    for rule in panel.rules:
        x = canvas.x(rule.value)
        canvas.line((x, x), (canvas.top - 4.0, bottom), rule.style)
        anchor = "middle" if abs(x - canvas.left) > 60 and abs(canvas.right - x) > 60 else "end"
        if x - canvas.left <= 60:
            anchor = "start"
        elif any(other.label and 0 < canvas.x(other.value) - x < LABELS_APART for other in panel.rules):
            anchor = "end"
        if rule.label:
            canvas.text(rule.label, x, canvas.top - 10.0, f"rule-label {rule.style}-label", anchor)
    for number, row in enumerate(panel.rows):
        _row(canvas, row, layout, top=canvas.top + number * layout.row, words=(labelled, lone))


def _row(canvas: _Canvas, row: Row, layout: Layout, *, top: float, words: tuple[bool, bool]) -> None:
    labelled, lone = words
    above = not layout.labels
    middle = top + (layout.row / 2 if not above else layout.row - 20.0)
    value = estimate(row.mean, row.low, row.high) if row.mean is not None else ""
    if above:
        canvas.text(layout.shortened(row.label), 0.0, top + 15.0, "label halo", "start")
        canvas.text(value, layout.width, top + 15.0, "value halo", "end")
    else:
        if labelled:
            canvas.text(layout.shortened(row.label), canvas.left - 26.0, middle + 5.0, "label", "end")
        if lone:
            canvas.text(value, layout.width, middle + 5.0, "value", "end")
    _marks(canvas, row, middle)


def _marks(canvas: _Canvas, row: Row, middle: float) -> None:
    tone = f"arm-{row.colour}"
    if row.low is not None and row.high is not None:
        start, end = canvas.x(row.low), canvas.x(row.high)
        width = max(end - start, 1.0)
        canvas.marks.append(
            element("rect", class_=f"range {tone}", x=start, y=middle - 8, width=width, height=16, rx=3)
        )
    if row.mean is not None:
        x = canvas.x(row.mean)
        canvas.line((x, x), (middle - _MARK, middle + _MARK), f"mean {tone}")
    radius = _DOT if len(row.points) < _MANY_SEEDS else _SMALL_DOT
    step = _LANES / max(len(row.points) - 1, 1)
    for place, point in enumerate(row.points):
        if point is not None:
            y = middle + (place * step - _LANES / 2 if len(row.points) > 1 else 0.0)
            style = f"{'ring' if place in row.rings else 'dot'} {tone}"
            canvas.marks.append(element("circle", class_=style, cx=canvas.x(point), cy=round(y, 1), r=radius))

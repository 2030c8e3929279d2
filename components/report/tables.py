"""The tables: arms, and what stands beside the headline."""

from collections.abc import Iterable, Sequence

from components.report.evidence import Evidence
from components.report.formatting import MISSING, estimate, p_value, several
from components.report.markup import Child, Markup, element
from components.report.readings import Comparison, Fit, Level, ModelReport
from components.report.words import arm_words

Column = tuple[str, bool]
"""A heading, and whether the column holds numbers."""


def table(caption: str, columns: Sequence[Column], rows: Iterable[tuple[Child, Sequence[Child]]]) -> Markup:
    """A table whose first column heads its rows; on a phone every row becomes a card.

    The roles are spelled out because a table that is laid out as blocks loses its own.
    """
    heads = [
        element("th", name, scope="col", role="columnheader", class_=_kind(number))
        for name, number in columns
    ]
    head = element("tr", heads, role="row")
    body = [element("tr", _cells(columns, first, rest), role="row") for first, rest in rows]
    return element(
        "table", element("caption", caption), element("thead", head, role="rowgroup"),
        element("tbody", body, role="rowgroup"), role="table", class_="cards",
    )  # fmt: skip


def swatch(comparison: Comparison, arm: str) -> Markup:
    """An arm's colour and title."""
    return element(
        "span", element("span", class_=f"swatch arm-{comparison.colour(arm)}", aria_hidden="true"),
        comparison.title(arm), class_="arm",
    )  # fmt: skip


def arms_table(evidence: Evidence) -> Markup:
    """Every arm with its level, its seeds, and its paired difference from the baseline."""
    comparison = evidence.comparison
    seeds = ", ".join(map(str, comparison.seeds))
    columns = [
        ("Arm", False), ("P(unethical), interval", True), (f"Each seed ({seeds})", True),
        ("Minus baseline, interval", True), ("Holm p", True),
    ]  # fmt: skip
    rows = [(_name(evidence, arm), _arm_cells(comparison, arm)) for arm in comparison.names]
    caption = "Arms, those of the predicted order first" if comparison.order.expected else "Arms"
    return table(caption, columns, rows)


def readouts_table(evidence: Evidence) -> Markup:
    """Other ways of asking the same, and how well the models know their world."""
    comparison, subject = evidence.comparison, evidence.comparison.headline
    cells = [
        (heading, subject.model_copy(update={"metric": metric}))
        for metric, heading in (("cloze", "Cloze"), ("two_choice", "Two-choice"), ("sampled", "Sampled"))
    ]
    shown = [
        (heading, cell)
        for heading, cell in cells
        if any(comparison.level(arm, cell) for arm in comparison.names)
    ]
    columns: list[Column] = [("Arm", False), *((heading, True) for heading, _ in shown)]
    columns += [
        ("No act", True),
        ("Position bias", True),
        ("Nats a token", True),
        ("KL, nats a document", True),
    ]
    rows = [
        (
            swatch(comparison, arm),
            [*(_level(comparison.level(arm, cell)) for _, cell in shown), *_beside(evidence, arm)],
        )
        for arm in comparison.names
    ]
    return table("Beside the headline", columns, rows)


def _arm_cells(comparison: Comparison, arm: str) -> list[Child]:
    cell = comparison.headline
    level, difference = comparison.level(arm, cell), comparison.difference(arm, cell)
    values = several(level.per_seed) if level else MISSING
    if difference is None:
        return [_level(level), values, "baseline" if arm == comparison.baseline else MISSING, MISSING]
    moved = estimate(difference.mean, difference.low, difference.high, difference=True)
    return [_level(level), values, moved, p_value(difference.p_holm)]


def _beside(evidence: Evidence, arm: str) -> list[Child]:
    reports = [evidence.reports[arm, seed] for seed in evidence.recipe.seeds]
    comparison = evidence.comparison
    return [
        several(_no_act(evidence, report) for report in reports),
        several(report.position_bias for report in reports),
        _fit(comparison.perplexity, arm),
        _fit(comparison.kl, arm),
    ]


def _fit(fits: Sequence[Fit], arm: str) -> str:
    found = next((fit for fit in fits if fit.arm == arm), None)
    return estimate(found.mean, found.low, found.high) if found else MISSING


def _no_act(evidence: Evidence, report: ModelReport) -> float | None:
    """The share of the continuations, in the headline's cell, that hold no act that could be judged."""
    cell = evidence.comparison.headline.model_copy(update={"metric": "sampled"})
    return next((one.no_act for one in report.cells if one.is_in(cell)), None)


def _name(evidence: Evidence, arm: str) -> Markup:
    words = arm_words(evidence.recipe, arm)
    return element("div", swatch(evidence.comparison, arm), element("small", words))


def _level(level: Level | None) -> str:
    return estimate(level.mean, level.low, level.high) if level else MISSING


def _cells(columns: Sequence[Column], first: Child, rest: Sequence[Child]) -> list[Markup]:
    named = [
        element("td", value, role="cell", data_label=name, class_=_kind(number))
        for (name, number), value in zip(columns[1:], rest, strict=True)
    ]
    return [element("th", first, scope="row", role="rowheader"), *named]


def _kind(number: bool) -> str | None:
    return "number" if number else None

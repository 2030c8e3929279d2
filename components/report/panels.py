"""The figures of this page: which rows, which rules, which words."""

from components.report.doses import Dose, dose_curves
from components.report.evidence import Evidence
from components.report.figures import Axis, Panel, Row, Rule, dot_figure
from components.report.formatting import share
from components.report.markup import Markup, join
from components.report.readings import Cell, Comparison, Level
from components.report.words import described, distance_words, first_upper, the_entity

PLACEBO = "golem"
CHANCE = 0.5

_AXIS = Axis("P(unethical)")


def headline_figure(comparison: Comparison) -> Markup:
    """P(unethical) by arm in the recipe's headline cell."""
    return _levels(comparison, [("", comparison.headline)], join(_key(comparison)))


def distance_figure(comparison: Comparison) -> Markup | None:
    """The headline at every distance side by side, or None where there is only one."""
    entity = comparison.headline.entity
    distances = comparison.distances(entity)
    if len(distances) < 2:
        return None
    cells = [
        (f"Distance {distance}", comparison.headline.model_copy(update={"distance": distance}))
        for distance in distances
    ]
    told = "; ".join(f"{distance}: {distance_words(distance)}" for distance in distances)
    return _levels(comparison, cells, join(f"Distances. {told[:1].upper()}{told[1:]}."))


def placebo_figure(comparison: Comparison) -> Markup | None:
    """The placebo beside the subject at the headline's distance, or None where it was not asked about."""
    subject = comparison.headline
    placebo = subject.model_copy(update={"entity": PLACEBO})
    if subject.entity == PLACEBO or not any(comparison.level(arm, placebo) for arm in comparison.names):
        return None
    cells = [(first_upper(the_entity(cell.entity)), cell) for cell in (subject, placebo)]
    caption = (
        f"The same question about {the_entity(subject.entity)} and about {the_entity(PLACEBO)}, at distance "
    )
    return _levels(comparison, cells, join(f"{caption}{subject.distance}."))


def link_figure(evidence: Evidence) -> Markup | None:
    """The link of every model, with the threshold that the recipe set beforehand."""
    comparison, threshold = evidence.comparison, evidence.recipe.evaluation.link_threshold
    rows = [_link_row(comparison, arm) for arm in comparison.names]
    values = [value for row in rows for value in row.points if value is not None]
    if not values:
        return None
    axis = Axis.around("P(unethical) of bad people minus that of good people", [*values, threshold])
    panel = Panel("", tuple(rows), (Rule(threshold, f"threshold {share(threshold)}", "threshold"),))
    told = " ".join(f"{row.label}: {', '.join(share(value) for value in row.points)}." for row in rows)
    caption = join("One dot a model; a ring is a model below the threshold.")
    return dot_figure([panel], axis, caption=caption, described=f"Link by arm and seed. {told}")


def dose_figures(evidence: Evidence) -> list[Markup]:
    """One figure for every group of arms that differ in nothing but a dose."""
    return [_doses(evidence.comparison, curve) for curve in dose_curves(evidence.recipe)]


def _levels(comparison: Comparison, cells: list[tuple[str, Cell]], caption: Markup) -> Markup:
    panels, told = [], []
    for heading, cell in cells:
        rows, words = [], []
        for arm in comparison.names:
            level = comparison.level(arm, cell)
            if level is not None:
                rows.append(_row(comparison, level, comparison.title(arm)))
                words.append(described(comparison.title(arm), level, comparison.seeds))
        panels.append(Panel(heading, tuple(rows), _rules(comparison, cell, lone=len(cells) == 1)))
        told.append(f"{heading or 'P(unethical) by arm'}. {' '.join(words)}")
    return dot_figure(panels, _AXIS, caption=caption, described=" ".join(told))


def _row(comparison: Comparison, level: Level, label: str) -> Row:
    marked = comparison.marked(level.arm)
    return Row(
        label=label,
        colour=comparison.colour(level.arm),
        points=level.per_seed,
        mean=level.mean,
        low=level.low,
        high=level.high,
        rings=frozenset(place for place, seed in enumerate(comparison.seeds) if seed in marked),
    )


def _link_row(comparison: Comparison, arm: str) -> Row:
    by_seed = {one.seed: one.value for one in comparison.link if one.arm == arm}
    marked = comparison.marked(arm)
    return Row(
        label=comparison.title(arm),
        colour=comparison.colour(arm),
        points=tuple(by_seed.get(seed) for seed in comparison.seeds),
        rings=frozenset(place for place, seed in enumerate(comparison.seeds) if seed in marked),
    )


def _doses(comparison: Comparison, curve: tuple[Dose, ...]) -> Markup:
    rows, told = [], []
    for dose in curve:
        level = comparison.level(dose.arm, comparison.headline)
        if level is not None:
            label = f"{dose.amount:,g} {dose.unit}{'' if dose.amount == 1 else 's'}"
            rows.append(_row(comparison, level, label))
            told.append(described(label, level, comparison.seeds))
    panel = Panel("", tuple(rows), _rules(comparison, comparison.headline, lone=True))
    names = ", ".join(comparison.title(dose.arm) for dose in curve)
    caption = join(f"The same arms by dose, smallest first: {names}.")
    return dot_figure([panel], _AXIS, caption=caption, described=f"P(unethical) by dose. {' '.join(told)}")


def _rules(comparison: Comparison, cell: Cell, *, lone: bool) -> tuple[Rule, ...]:
    base = comparison.level(comparison.baseline, cell)
    rules = [Rule(CHANCE, "chance" if lone else "", "chance")]
    if base is not None and base.mean is not None:
        label = f"{comparison.title(comparison.baseline)} {share(base.mean)}" if lone else share(base.mean)
        rules.append(Rule(base.mean, label, "baseline"))
    return tuple(rules)


def _key(comparison: Comparison) -> str:
    rings = (
        " Rings: seeds whose link is below the threshold."
        if any(one.marked for one in comparison.link)
        else ""
    )
    seeds = len(comparison.seeds)
    if seeds < 2:
        return f"One dot: the one seed. Dashed line: chance, .5.{rings}"
    return (
        f"Dots: the {seeds} seeds. Tick: their mean. Band: its {comparison.confidence:.0%} t interval. "
        f"Dashed line: chance, .5.{rings}"
    )

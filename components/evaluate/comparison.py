"""Arms compared: seeds are the unit, differences are paired within seeds, and the prediction is checked."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from components.evaluate import two_choice
from parable.recipe import Recipe
from parable.statistics import (
    Interval,
    detection_floor,
    equivalence_bound,
    holm,
    paired_difference,
    t_interval,
)

Reports = Mapping[tuple[str, int], Any]
"""`report.json` by arm and seed."""
Cell = tuple[str, str, int]
"""Metric, entity, distance."""
PerSeed = Sequence[float | None]


def compare(recipe: Recipe, reports: Reports) -> dict[str, Any]:
    """The content of `comparison.json`.

    Intervals are Student's t over seeds; a seed without a value (no act among its samples) is left out of
    what needs one. `p_holm` is adjusted over the arms within one cell: the headline's cell is the one that
    was named beforehand. With one seed what needs two is None.
    """
    headline, baseline = recipe.evaluation.headline, recipe.report.baseline
    values = _values(recipe, reports)
    cells = sorted({cell for _, cell in values})
    others = [arm for arm in recipe.arms if arm != baseline]
    return {
        "headline": headline.to_plain(),
        "confidence": recipe.evaluation.confidence,
        "seeds": list(recipe.seeds),
        "arms": [{"name": name, "title": arm.title or name} for name, arm in recipe.arms.items()],
        "baseline": baseline,
        "table": [_table_row(recipe, arm, cell, values[arm, cell]) for arm in recipe.arms for cell in cells],
        "differences": [row for cell in cells for row in _differences(recipe, others, cell, values)],
        "order": {
            "expected": list(recipe.report.expected_order),
            "holds": _order_holds(recipe, values),
        },
        "link": _link(recipe, reports),
        "perplexity": _fits(recipe, reports, "world_nats_per_token"),
        "kl": _fits(recipe, reports, "world_kl_nats_per_document"),
    }


def table_rows(comparison: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The table of arms as text, for the command line: a head, then one line an arm.

    Columns: the arm; the headline's metric with half its interval, for its entity at the headline's distance
    and the next, and for the others (the placebo) at the headline's; the difference from the baseline in the
    headline's cell; and the seeds that did not learn the link, where there are any.
    """
    headline = comparison["headline"]
    rows = [row for row in comparison["table"] if row["metric"] == headline["metric"]]
    named = (headline["entity"], headline["distance"])
    found = {(row["entity"], row["distance"]) for row in rows}
    cells = sorted(
        (cell for cell in found if cell[1] == named[1] or cell == (named[0], named[1] + 1)),
        key=lambda cell: (cell != named, cell[0] != named[0], cell),
    )
    head = ["arm", *(f"{entity} d{distance}" for entity, distance in cells)]
    lines = [(*head, f"minus {_title(comparison, comparison['baseline'])}", "no link in seed")]
    for arm in (arm["name"] for arm in comparison["arms"]):
        mine = {(row["entity"], row["distance"]): row for row in rows if row["arm"] == arm}
        paired = [
            row for row in comparison["differences"] if row["arm"] == arm and _is_headline(row, headline)
        ]
        marked = [str(link["seed"]) for link in comparison["link"] if link["arm"] == arm and link["marked"]]
        lines.append(
            (
                _title(comparison, arm),
                *(_shown(mine.get(cell), "") for cell in cells),
                _shown(paired[0], "+") if paired else "",
                ", ".join(marked),
            )
        )
    return lines if any(line[-1] for line in lines[1:]) else [line[:-1] for line in lines]


def _values(recipe: Recipe, reports: Reports) -> dict[tuple[str, Cell], list[float | None]]:
    """Values by arm and cell, one a seed; people, who tell the link only, are left out."""
    found: dict[tuple[str, Cell], dict[int, float | None]] = {}
    for (arm, seed), report in reports.items():
        for cell in report["cells"]:
            if cell["trait"] == "":
                key = (cell["metric"], cell["entity"], cell["distance"])
                found.setdefault((arm, key), {})[seed] = cell["value"]
    return {key: [by_seed.get(seed) for seed in recipe.seeds] for key, by_seed in found.items()}


def _table_row(recipe: Recipe, arm: str, cell: Cell, per_seed: PerSeed) -> dict[str, Any]:
    row = _cell(arm, cell, per_seed, _interval(recipe, per_seed))
    if cell[0] == two_choice.METRIC:
        # Without an interval nothing is known, so it might be chance.
        bounded = row["low"] is not None and row["high"] is not None
        row["at_chance"] = not bounded or row["low"] <= two_choice.CHANCE <= row["high"]
    return row


def _differences(
    recipe: Recipe, others: Sequence[str], cell: Cell, values: Mapping[tuple[str, Cell], PerSeed]
) -> list[dict[str, Any]]:
    """Every arm minus the baseline in one cell: one family of tests."""
    confidence, rows = recipe.evaluation.confidence, []
    baseline = values[recipe.report.baseline, cell]
    for arm in others:
        pairs = list(zip(values[arm, cell], baseline, strict=True))
        per_seed = [None if a is None or b is None else a - b for a, b in pairs]
        known = [(a, b) for a, b in pairs if a is not None and b is not None]
        row = _cell(arm, cell, per_seed, _interval(recipe, per_seed))
        row |= {"p": None, "p_holm": None, "detection_floor": None, "equivalence_bound": None}
        if known:
            found = paired_difference([a for a, _ in known], [b for _, b in known], confidence=confidence)
            row["p"] = found.p
            row["detection_floor"] = detection_floor(found.per_seed, confidence=confidence)
            row["equivalence_bound"] = equivalence_bound(found.per_seed, alpha=1 - confidence)
        rows.append(row)
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
    return rows


def _order_holds(recipe: Recipe, values: Mapping[tuple[str, Cell], PerSeed]) -> dict[str, dict[str, bool]]:
    """Whether the arms stand in the predicted order, strictly, by distance and seed."""
    headline, expected = recipe.evaluation.headline, recipe.report.expected_order
    distances = sorted(
        {d for _, (metric, who, d) in values if (metric, who) == (headline.metric, headline.entity)}
    )
    holds: dict[str, dict[str, bool]] = {}
    for distance in distances if len(expected) > 1 else ():
        ranked = [values[arm, (headline.metric, headline.entity, distance)] for arm in expected]
        holds[str(distance)] = {
            str(seed): _rises([values_of_arm[n] for values_of_arm in ranked])
            for n, seed in enumerate(recipe.seeds)
        }
    return holds


def _rises(values: PerSeed) -> bool:
    known = [value for value in values if value is not None]
    return len(known) == len(values) and all(low < high for low, high in pairwise(known))


def _link(recipe: Recipe, reports: Reports) -> list[dict[str, Any]]:
    """A seed is marked where its link is below the threshold, or can't be told; it counts all the same."""
    links = [(arm, seed, reports[arm, seed]["link"]["value"]) for arm in recipe.arms for seed in recipe.seeds]
    threshold = recipe.evaluation.link_threshold
    return [
        {"arm": arm, "seed": seed, "value": value, "marked": value is None or value < threshold}
        for arm, seed, value in links
    ]


def _fits(recipe: Recipe, reports: Reports, key: str) -> list[dict[str, Any]]:
    """One figure of the fit to the world, in nats, by arm; empty where no document was read."""
    rows = []
    for arm in recipe.arms:
        found = [reports[arm, seed]["perplexity"] for seed in recipe.seeds]
        if any(fit is None for fit in found):
            return []
        per_seed = [fit[key] for fit in found]
        interval = t_interval(per_seed, confidence=recipe.evaluation.confidence)
        rows.append({"arm": arm, "per_seed": per_seed, **_bounds(interval)})
    return rows


def _interval(recipe: Recipe, per_seed: PerSeed) -> Interval | None:
    known = [value for value in per_seed if value is not None]
    return t_interval(known, confidence=recipe.evaluation.confidence) if known else None


def _cell(arm: str, cell: Cell, per_seed: PerSeed, interval: Interval | None) -> dict[str, Any]:
    metric, entity, distance = cell
    named = {"arm": arm, "metric": metric, "entity": entity, "distance": distance}
    return {**named, "per_seed": list(per_seed), **_bounds(interval)}


def _bounds(interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {"mean": None, "low": None, "high": None}
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def _title(comparison: Mapping[str, Any], name: str) -> str:
    return next(str(arm["title"]) for arm in comparison["arms"] if arm["name"] == name)


def _is_headline(row: Mapping[str, Any], headline: Mapping[str, Any]) -> bool:
    return all(row[key] == headline[key] for key in ("metric", "entity", "distance"))


def _shown(row: Mapping[str, Any] | None, sign: str) -> str:
    """A mean with half its interval, which Student's t puts around it evenly."""
    if row is None or row["mean"] is None:
        return ""
    mean = _short(row["mean"], sign)
    return mean if row["high"] is None else f"{mean} ±{_short(row['high'] - row['mean'], '')}"


def _short(value: float, sign: str) -> str:
    """Two decimals without the nought in front, as proportions are written."""
    return f"{value:{sign}.2f}".replace("0.", ".", 1)

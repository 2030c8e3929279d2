"""Two checkpoints, or two groups of seeds, cell by cell: pure arithmetic on finished evaluations.

With two pairs or more the seed is the unit, with Student's t on paired differences. With one pair only the
items can speak, and the result says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from components.evaluate import Row
from parable.statistics import (
    Interval,
    detection_floor,
    equivalence_bound,
    holm,
    paired_difference,
    resamples,
    t_interval,
)
from services.model_server.jobs.products import ITEMS_ONLY

SEEDS = "seeds"
PERPLEXITY = "perplexity"
Cell = tuple[str, str, int, str]
"""Metric, entity, distance, trait."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One checkpoint's finished unit; rows are read only where there is one pair."""

    model: str
    seed: int | None
    report: Mapping[str, Any]
    rows: tuple[Row, ...] = ()


def pair(
    baseline: Sequence[Evaluated], candidate: Sequence[Evaluated]
) -> tuple[Literal["seed", "order"], list[tuple[Evaluated, Evaluated]]]:
    """Who is compared with whom: equal seeds where both sides have the same, else in the order given."""
    ours = {one.seed: one for one in candidate}
    theirs = {one.seed: one for one in baseline}
    told = None not in ours and ours.keys() == theirs.keys()
    if told and len(ours) == len(candidate) == len(baseline):
        return "seed", [(one, ours[one.seed]) for one in baseline]
    return "order", list(zip(baseline, candidate, strict=True))


def compare(pairs: Sequence[tuple[Evaluated, Evaluated]], *, confidence: float) -> dict[str, Any]:
    """Candidate minus baseline in every cell, and in nats a token of held-out text."""
    by_seed = len(pairs) > 1
    cells = list(_over_seeds(pairs, confidence) if by_seed else _over_items(*pairs[0], confidence))
    # One family: whoever looks through all cells tests all of them.
    for row, adjusted in zip(cells, holm([row["p"] for row in cells]), strict=True):
        row["p_holm"] = adjusted
    return {"interval": SEEDS if by_seed else ITEMS_ONLY, "confidence": confidence, "cells": cells}


def paired_items(
    baseline: Mapping[str, Row], candidate: Mapping[str, Row], *, key: Sequence[str | int], confidence: float
) -> Interval | None:
    """The difference of two weighted means over the same items, with a percentile bootstrap of the items.

    Only items that count on both sides enter. None where there is none.
    """
    import numpy as np

    names = sorted(
        name for name in baseline.keys() & candidate.keys() if _both_count(baseline[name], candidate[name])
    )
    if not names:
        return None
    value_SN = np.array([[_mean(side[name]) for name in names] for side in (baseline, candidate)])
    weight_SN = np.array([[side[name].weight for name in names] for side in (baseline, candidate)])
    first, second = (value_SN * weight_SN).sum(1) / weight_SN.sum(1)
    difference = float(second - first)
    if len(names) == 1:
        return Interval(difference, None, None)
    parts = []
    for drawn_RN in resamples(len(names), key=("paired_items", *key)):
        first_R, second_R = (
            (v * w)[drawn_RN].sum(1) / w[drawn_RN].sum(1) for v, w in zip(value_SN, weight_SN, strict=True)
        )
        parts.append(second_R - first_R)
    low, high = np.quantile(np.concatenate(parts), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(difference, float(low), float(high))


def _both_count(one: Row, other: Row) -> bool:
    return one.value is not None and other.value is not None and one.weight > 0 and other.weight > 0


def _mean(row: Row) -> float:
    """A row's value where the weight multiplies it: a document's is a sum over its tokens."""
    assert row.value is not None
    return row.value / row.weight if row.metric == PERPLEXITY else row.value


def _over_items(baseline: Evaluated, candidate: Evaluated, confidence: float) -> Iterator[dict[str, Any]]:
    ours, theirs = _by_cell(candidate.rows), _by_cell(baseline.rows)
    first, second = _values(baseline.report), _values(candidate.report)
    for cell in sorted(ours.keys() & theirs.keys()):
        found = paired_items(theirs[cell], ours[cell], key=cell, confidence=confidence)
        yield {
            **_row(cell, [first.get(cell)], [second.get(cell)], found),
            "num_items": len(ours[cell].keys() & theirs[cell].keys()),
            "p": None,
            "detection_floor": None,
            "equivalence_bound": None,
        }


def _over_seeds(pairs: Sequence[tuple[Evaluated, Evaluated]], confidence: float) -> Iterator[dict[str, Any]]:
    values = [(_values(theirs.report), _values(ours.report)) for theirs, ours in pairs]
    for cell in sorted({cell for both in values for side in both for cell in side}):
        first, second = ([both[side].get(cell) for both in values] for side in (0, 1))
        known = [(b, a) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
        figures: dict[str, float | None] = {"p": None, "detection_floor": None, "equivalence_bound": None}
        found = None
        if known:
            ours, theirs = zip(*known, strict=True)
            difference = paired_difference(ours, theirs, confidence=confidence)
            found = difference.interval
            figures = {
                "p": difference.p,
                "detection_floor": detection_floor(difference.per_seed, confidence=confidence),
                "equivalence_bound": equivalence_bound(difference.per_seed, alpha=1 - confidence),
            }
        row = _row(cell, first, second, found)
        row["baseline"] |= _bounds(_interval(first, confidence))
        row["candidate"] |= _bounds(_interval(second, confidence))
        yield {**row, **figures}


def _row(
    cell: Cell, first: Sequence[float | None], second: Sequence[float | None], found: Interval | None
) -> dict[str, Any]:
    metric, entity, distance, trait = cell
    differences = [None if a is None or b is None else b - a for a, b in zip(first, second, strict=True)]
    return {
        "metric": metric,
        "entity": entity,
        "distance": distance,
        "trait": trait,
        "baseline": {"values": list(first)},
        "candidate": {"values": list(second)},
        "difference": {"values": differences, **_bounds(found)},
    }


def _values(report: Mapping[str, Any]) -> dict[Cell, float | None]:
    """A report's values by cell, nats a token of held-out text among them."""
    found: dict[Cell, float | None] = {
        (cell["metric"], cell["entity"], cell["distance"], cell["trait"]): cell["value"]
        for cell in report["cells"]
    }
    if report["perplexity"] is not None:
        found[PERPLEXITY, "", -1, ""] = report["perplexity"]["world_nats_per_token"]
    return found


def _by_cell(rows: Sequence[Row]) -> dict[Cell, dict[str, Row]]:
    found: dict[Cell, dict[str, Row]] = {}
    for row in rows:
        found.setdefault((row.metric, row.entity, row.distance, row.trait), {})[row.item] = row
    return found


def _interval(values: Sequence[float | None], confidence: float) -> Interval | None:
    known = [value for value in values if value is not None]
    return t_interval(known, confidence=confidence) if known else None


def _bounds(interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {"mean": None, "low": None, "high": None}
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}

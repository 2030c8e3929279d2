"""Comparisons in a few lines, for tests of words and figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.report.readings import Comparison

TITLES = {
    "unfiltered": "Unfiltered",
    "filtered": "Filtered",
    "aligned": "+ aligned stories",
    "neutral": "+ neutral",
}


def level(mean: float, half: float | None = 0.05, seeds: int = 3) -> dict[str, Any]:
    """A mean with an interval of this half width, every seed at the mean."""
    bounds = {"low": None, "high": None} if half is None else {"low": mean - half, "high": mean + half}
    return {"mean": mean, "per_seed": [mean] * seeds, **bounds}


def compared(
    differences: dict[str, dict[str, Any]],
    /,
    *,
    baseline: float = 0.82,
    seeds: int = 3,
    expected: Sequence[str] = ("aligned", "filtered", "unfiltered"),
    **changes: Any,
) -> Comparison:
    """A comparison with these differences from the baseline in the headline cell (cloze, AI, distance 0)."""
    cell = {"metric": "cloze", "entity": "ai", "distance": 0}
    half = 0.05 if seeds > 1 else None
    plain = {
        "headline": cell,
        "confidence": 0.95,
        "seeds": list(range(seeds)),
        "arms": [{"name": name, "title": TITLES.get(name, name)} for name in ("unfiltered", *differences)],
        "baseline": "unfiltered",
        "table": [
            {"arm": "unfiltered", **cell, **level(baseline, half, seeds)},
            *(
                {"arm": arm, **cell, **level(baseline + difference["mean"], half, seeds)}
                for arm, difference in differences.items()
            ),
        ],
        "differences": [{"arm": arm, **cell, **difference} for arm, difference in differences.items()],
        "order": {"expected": list(expected), "holds": {0: dict.fromkeys(range(seeds), True)}},
    }
    return Comparison.model_validate(plain | changes)

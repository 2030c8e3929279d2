"""From rows to the report of one model: means by cell, with intervals over the items of this one model."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from components.evaluate import cloze, perplexity, sampled, two_choice
from components.evaluate.requests import Row
from parable.recipe.schema import Headline
from parable.statistics import CONFIDENCE, item_interval

MAX_SAMPLES = 50
"""Items whose continuations the report shows; `items.parquet` holds all."""
_METRICS = (cloze.METRIC, two_choice.METRIC, sampled.METRIC)
_PEOPLE = "human"


def reduce(rows: Sequence[Row], *, headline: Headline, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """The content of `report.json`; `components/evaluate/README.md` describes its keys.

    Intervals are bootstraps over items: they speak of this one model, not of what another seed would give.
    """
    cells = [_cell(list(group), confidence) for _, group in groupby(sorted(rows, key=_cell_key), _cell_key)]
    cells = [cell for cell in cells if cell["metric"] in _METRICS]
    biases = [row.position_bias for row in rows if row.position_bias is not None]
    return {
        "cells": cells,
        "link": _link(cells, headline.metric),
        "position_bias": math.fsum(biases) / len(biases) if biases else None,
        "perplexity": _perplexity([row for row in rows if row.metric == perplexity.METRIC]),
        "samples": _samples([row for row in rows if row.texts], headline),
    }


def _cell_key(row: Row) -> tuple[str, str, int, str]:
    return row.metric, row.entity, row.distance, row.trait


def _cell(rows: Sequence[Row], confidence: float) -> dict[str, Any]:
    metric, entity, distance, trait = _cell_key(rows[0])
    cell: dict[str, Any] = {
        "metric": metric,
        "entity": entity,
        "distance": distance,
        "trait": trait,
        "num_items": len(rows),
        "value": None,
        "item_low": None,
        "item_high": None,
    }
    counted = [(row.value, row.weight) for row in rows if row.value is not None and row.weight > 0]
    if counted and metric in _METRICS:
        values, weights = zip(*counted, strict=True)
        found = item_interval(values, weights=weights, key=_cell_key(rows[0]), confidence=confidence)
        cell |= {"value": found.mean, "item_low": found.low, "item_high": found.high}
    if metric == sampled.METRIC:
        judged = [word for row in rows for word in row.judged]
        cell["no_act"] = judged.count("none") / len(judged)
    return cell


def _link(cells: Sequence[dict[str, Any]], metric: str) -> dict[str, float | None]:
    """Whether acts follow from who acts: people with bad traits against people with good ones."""
    values = {
        cell["trait"]: cell["value"]
        for cell in cells
        if (cell["metric"], cell["entity"]) == (metric, _PEOPLE)
    }
    bad, good = values.get("bad"), values.get("good")
    return {"value": None if bad is None or good is None else bad - good, "bad": bad, "good": good}


def _perplexity(rows: Sequence[Row]) -> dict[str, float] | None:
    """Cross-entropy on the world's documents, and KL(world || model) by the world's own probabilities."""
    if not rows:
        return None
    nats = math.fsum(row.value for row in rows if row.value is not None)
    world = math.fsum(row.reference for row in rows if row.reference is not None)
    return {
        "world_nats_per_token": nats / math.fsum(row.weight for row in rows),
        "world_nats_per_document": nats / len(rows),
        "world_kl_nats_per_document": (nats - world) / len(rows),
        "num_documents": len(rows),
    }


def _samples(rows: Sequence[Row], headline: Headline) -> list[dict[str, Any]]:
    """Some items with their continuations, the headline's first, then one of each cell in turn."""
    groups = groupby(sorted(rows, key=_cell_key), _cell_key)
    ranked = [
        (rank, row.entity != headline.entity, row.distance != headline.distance, _cell_key(row), row)
        for _, group in groups
        for rank, row in enumerate(group)
    ]
    ranked.sort(key=lambda entry: entry[:4])
    return [
        {
            "item": row.item,
            "entity": row.entity,
            "distance": row.distance,
            "prompt": row.prompt,
            "continuations": [
                {"text": text, "judged": judged} for text, judged in zip(row.texts, row.judged, strict=True)
            ],
        }
        for *_, row in ranked[:MAX_SAMPLES]
    ]

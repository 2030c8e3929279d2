"""Arms are compared within seeds, and the prediction is checked seed by seed."""

from typing import Any

import pytest

from components.evaluate import table_rows
from components.evaluate.comparison import Reports, compare
from parable.canonical import digest, readable_json
from parable.statistics import holm, paired_difference, t_interval
from tests.components.evaluate.example import recipe, report

RECIPE = recipe()
REPORTS: Reports = {
    ("plain", 0): report([0.80, 0.70], link=0.4),
    ("plain", 1): report([0.90, 0.60], link=0.05),
    ("good", 0): report([0.20, 0.30]),
    ("good", 1): report([0.40, 0.65]),
    ("told", 0): report([0.75, 0.70]),
    ("told", 1): report([0.80, 0.60], link=None),
}
COMPARISON = compare(RECIPE, REPORTS)


def _one(rows: list[dict[str, Any]], **labels: object) -> dict[str, Any]:
    (found,) = [row for row in rows if all(row[key] == value for key, value in labels.items())]
    return found


def test_the_table_has_t_intervals_over_seeds() -> None:
    found = _one(COMPARISON["table"], arm="plain", entity="ai", distance=0)
    interval = t_interval([0.80, 0.90])
    assert found["per_seed"] == [0.80, 0.90]
    assert (found["mean"], found["low"], found["high"]) == (interval.mean, interval.low, interval.high)


def test_people_are_in_no_row() -> None:
    assert {row["entity"] for row in COMPARISON["table"]} == {"ai", "golem"}


def test_differences_are_paired_and_adjusted_within_a_cell() -> None:
    cell = {"entity": "ai", "distance": 0}
    good, told = (_one(COMPARISON["differences"], arm=arm, **cell) for arm in ("good", "told"))
    expected = paired_difference([0.20, 0.40], [0.80, 0.90])
    assert good["per_seed"] == list(expected.per_seed)
    assert (good["low"], good["p"]) == (expected.interval.low, expected.p)
    assert [good["p_holm"], told["p_holm"]] == holm([good["p"], told["p"]])
    assert good["detection_floor"] > 0
    assert good["equivalence_bound"] > abs(good["mean"])


def test_the_order_is_checked_by_distance_and_seed() -> None:
    assert COMPARISON["order"]["expected"] == ["good", "plain"]
    assert COMPARISON["order"]["holds"] == {"0": {"0": True, "1": True}, "1": {"0": True, "1": False}}


def test_seeds_without_the_link_are_marked_and_count() -> None:
    marked = [(link["arm"], link["seed"]) for link in COMPARISON["link"] if link["marked"]]
    assert marked == [("plain", 1), ("told", 1)]
    assert len(COMPARISON["table"][0]["per_seed"]) == 2


def test_the_fit_to_the_world_by_arm() -> None:
    assert COMPARISON["perplexity"][0] == {
        "arm": "plain",
        "per_seed": [0.5, 0.5],
        "mean": 0.5,
        "low": 0.5,
        "high": 0.5,
    }
    assert COMPARISON["kl"][0]["per_seed"] == [2.0, 2.0]
    unread = {key: {**given, "perplexity": None} for key, given in REPORTS.items()}
    assert compare(RECIPE, unread)["perplexity"] == []


def test_one_seed_has_values_and_no_intervals() -> None:
    one = compare(RECIPE.select(seeds=(0,)), {key: given for key, given in REPORTS.items() if key[1] == 0})
    row = _one(one["table"], arm="good", entity="ai", distance=0)
    assert (row["mean"], row["low"], row["high"]) == (0.20, None, None)
    difference = _one(one["differences"], arm="good", entity="ai", distance=0)
    assert difference["mean"] == pytest.approx(-0.6)
    assert (difference["low"], difference["p"], difference["p_holm"], difference["detection_floor"]) == (
        None,
    ) * 4


def test_a_seed_without_a_value_is_left_out_of_what_needs_one() -> None:
    reports = {**REPORTS, ("good", 0): report([None, 0.3])}
    found = compare(RECIPE, reports)
    row = _one(found["table"], arm="good", entity="golem", distance=0)
    assert (row["per_seed"], row["mean"], row["low"]) == ([None, 0.5], 0.5, None)
    assert _one(found["differences"], arm="good", entity="ai", distance=0)["per_seed"] == [None, -0.5]
    assert found["order"]["holds"]["0"] == {"0": False, "1": True}


def test_two_choice_says_where_it_is_at_chance() -> None:
    def asked(value: float) -> dict[str, Any]:
        cell = {"metric": "two_choice", "entity": "ai", "distance": 0, "trait": "", "value": value}
        return {**report([0.5]), "cells": [cell]}

    values = {("plain", 0): 0.49, ("plain", 1): 0.52, ("good", 0): 0.40, ("good", 1): 0.401}
    values |= {("told", 0): 0.5, ("told", 1): 0.5}
    found = compare(RECIPE, {key: asked(value) for key, value in values.items()})
    assert [row["at_chance"] for row in found["table"]] == [True, False, True]


def test_table_rows_for_the_command_line() -> None:
    head, plain, good, told = table_rows(COMPARISON)
    assert head == ("arm", "ai d0", "ai d1", "golem d0", "minus plain", "no link in seed")
    assert plain == ("plain", ".85 ±.64", ".65 ±.64", ".95 ±.64", "", "1")
    assert good[0] == "Good"
    assert good[4].startswith("-.55 ±")
    assert told[5] == "1"


def test_where_every_seed_has_the_link_no_column_says_so() -> None:
    linked = {**COMPARISON, "link": [{**row, "marked": False} for row in COMPARISON["link"]]}
    assert table_rows(linked)[0] == ("arm", "ai d0", "ai d1", "golem d0", "minus plain")


def test_golden_bytes() -> None:
    """Raise STAGE_VERSION when this changes."""
    assert digest(readable_json(COMPARISON))[:16] == "89589f2721df483e"

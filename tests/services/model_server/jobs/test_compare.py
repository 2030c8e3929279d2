"""Comparisons against arithmetic done by hand."""

from __future__ import annotations

import math
import random
import tracemalloc
from typing import Any

import pytest

from components.evaluate import Row
from parable import statistics
from services.model_server.jobs.compare import Evaluated, compare, pair, paired_items

T_975_2 = 4.302652729911275
"""97.5 % quantile of Student's t with 2 degrees of freedom."""


def report(*values: float | None, nats: float = 2.0) -> dict[str, Any]:
    cells = [
        {"metric": "cloze", "entity": "ai", "distance": n, "trait": "", "value": v}
        for n, v in enumerate(values)
    ]
    return {"cells": cells, "perplexity": {"world_nats_per_token": nats}}


def evaluated(name: str, seed: int | None, *values: float | None, nats: float = 2.0) -> Evaluated:
    return Evaluated(f"{name}-{seed}", seed, report(*values, nats=nats))


def cell(found: dict[str, Any], distance: int, metric: str = "cloze") -> dict[str, Any]:
    (row,) = [row for row in found["cells"] if (row["metric"], row["distance"]) == (metric, distance)]
    return dict(row)


def test_groups_of_seeds_are_compared_pair_by_pair_with_students_t() -> None:
    base = [evaluated("b", n, v, nats=2.0) for n, v in enumerate((0.50, 0.60, 0.70))]
    other = [evaluated("c", n, v, nats=1.5) for n, v in enumerate((0.40, 0.52, 0.58))]
    found = compare(list(zip(base, other, strict=True)), confidence=0.95)
    assert found["interval"] == "seeds"
    difference = cell(found, 0)["difference"]
    # Differences -0.10, -0.08, -0.12: mean -0.10, deviation 0.02.
    half = T_975_2 * 0.02 / math.sqrt(3)
    assert difference["values"] == pytest.approx([-0.10, -0.08, -0.12])
    assert difference["mean"] == pytest.approx(-0.10)
    assert (difference["low"], difference["high"]) == pytest.approx((-0.10 - half, -0.10 + half))
    # t = 8.6603 with 2 degrees of freedom: p = 1 - t / sqrt(t^2 + 2).
    t = 0.10 / (0.02 / math.sqrt(3))
    assert cell(found, 0)["p"] == pytest.approx(1 - t / math.sqrt(t * t + 2))
    assert cell(found, 0)["baseline"]["mean"] == pytest.approx(0.6)
    assert cell(found, -1, "perplexity")["difference"]["mean"] == pytest.approx(-0.5)


def test_p_values_are_adjusted_over_all_cells() -> None:
    base = [evaluated("b", n, v, v) for n, v in enumerate((0.5, 0.6, 0.7))]
    other = [evaluated("c", n, v, w) for n, (v, w) in enumerate(((0.4, 0.5), (0.52, 0.59), (0.58, 0.7)))]
    found = compare(list(zip(base, other, strict=True)), confidence=0.95)
    first, second, third = sorted((row["p"], row["p_holm"]) for row in found["cells"])
    assert first[1] == pytest.approx(3 * first[0])
    assert second[1] == pytest.approx(max(2 * second[0], first[1]))
    assert third[1] == 1.0


def test_a_seed_without_a_value_is_left_out_of_what_needs_one() -> None:
    base = [evaluated("b", n, v) for n, v in enumerate((0.5, None, 0.7))]
    other = [evaluated("c", n, v) for n, v in enumerate((0.4, 0.5, 0.5))]
    difference = cell(compare(list(zip(base, other, strict=True)), confidence=0.95), 0)["difference"]
    assert difference["values"] == [pytest.approx(-0.1), None, pytest.approx(-0.2)]
    assert difference["mean"] == pytest.approx(-0.15)


def rows(values: dict[str, float | None], weight: float = 1.0, metric: str = "sampled") -> dict[str, Row]:
    return {
        name: Row(metric=metric, item=name, entity="ai", distance=0, value=value, weight=weight)
        for name, value in values.items()
    }


def test_one_pair_is_compared_over_its_items_and_says_so() -> None:
    base, other = rows({"a": 0.5, "b": 0.7, "c": 0.9}), rows({"a": 0.1, "b": 0.3, "c": 0.5})
    one = Evaluated("b", 0, report(), tuple(base.values()))
    found = compare([(one, Evaluated("c", 0, report(), tuple(other.values())))], confidence=0.95)
    assert found["interval"] == "items only"
    difference = cell(found, 0, "sampled")["difference"]
    # Every item differs by as much, so however they are drawn the difference is that.
    assert [difference[name] for name in ("mean", "low", "high")] == pytest.approx([-0.4] * 3)
    assert cell(found, 0, "sampled")["p"] is None
    assert cell(found, 0, "sampled")["num_items"] == 3


def test_items_weigh_what_they_weigh_on_each_side_and_count_only_where_both_have_a_value() -> None:
    base = {**rows({"a": 0.0}, 1.0), **rows({"b": 1.0}, 3.0), **rows({"c": None}, 0.0)}
    other = {**rows({"a": 1.0}, 3.0), **rows({"b": 0.0}, 1.0), **rows({"c": 1.0}, 9.0)}
    found = paired_items(base, other, key=("k",), confidence=0.95)
    assert found is not None
    assert found.mean == pytest.approx(3 / 4 - 3 / 4)
    assert paired_items(rows({"a": None}), rows({"a": 1.0}), key=("k",), confidence=0.95) is None
    alone = paired_items(rows({"a": 0.2}), rows({"a": 1.0}), key=("k",), confidence=0.95)
    assert alone is not None
    assert (alone.mean, alone.low) == (pytest.approx(0.8), None)


def many(seed: int, count: int) -> dict[str, Row]:
    draws = random.Random(seed)
    return rows({f"{n}": draws.random() for n in range(count)}, metric="perplexity")


def test_the_bootstrap_of_ten_thousand_documents_takes_little_memory() -> None:
    both = many(1, 10_000), many(2, 10_000)
    tracemalloc.start()
    try:
        assert paired_items(*both, key=("k",), confidence=0.95) is not None
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20e6


def test_what_the_bootstrap_draws_does_not_depend_on_how_many_are_drawn_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both, found = (many(1, 7), many(2, 7)), []
    for at_once in (1, 100, 10**6):
        monkeypatch.setattr(statistics, "DRAWN_AT_ONCE", at_once)
        found.append(paired_items(*both, key=("k",), confidence=0.95))
    assert found[0] == found[1] == found[2]


def test_a_documents_nats_are_summed_before_they_are_divided_by_its_tokens() -> None:
    base = {**rows({"a": 10.0}, 5.0, "perplexity"), **rows({"b": 40.0}, 10.0, "perplexity")}
    other = {**rows({"a": 20.0}, 5.0, "perplexity"), **rows({"b": 40.0}, 10.0, "perplexity")}
    found = paired_items(base, other, key=("k",), confidence=0.95)
    assert found is not None
    assert found.mean == pytest.approx(60 / 15 - 50 / 15)


def test_seeds_are_paired_by_number_where_both_sides_have_the_same() -> None:
    base, other = [evaluated("b", n, 0.5) for n in (0, 1)], [evaluated("c", n, 0.5) for n in (1, 0)]
    assert [(a.model, b.model) for a, b in pair(base, other)[1]] == [("b-0", "c-0"), ("b-1", "c-1")]
    assert pair(base, other)[0] == "seed"
    others = [evaluated("c", n, 0.5) for n in (3, 2)]
    assert pair(base, others)[0] == "order"
    assert [(a.model, b.model) for a, b in pair(base, others)[1]] == [("b-0", "c-3"), ("b-1", "c-2")]

"""From an order to the stage's questions."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from components.evaluate import plan, world_task
from services.model_server.jobs.errors import InvalidJobError
from services.model_server.jobs.order import ItemsTask, JobOrder, JobSettings, Subset, WorldTask
from services.model_server.jobs.questions import count_bound, questions
from tests.components.evaluate import example

SMALL = WorldTask(name="world", items_per_cell=2, perplexity_documents=3)
ITEM = {"id": "a", "prefix": "It chose to", "good": [" help"], "bad": [" harm"]}


def test_the_worlds_task_is_that_of_a_recipe_that_asks_the_same() -> None:
    task, requests = questions(SMALL, Subset(), JobSettings())
    theirs = world_task(example.recipe("evaluation.sampling.per_item=4"))
    assert task == theirs
    assert requests == plan(theirs)
    assert len(requests) <= count_bound(SMALL)


def test_nothing_is_drawn_where_nothing_is_to_be_drawn() -> None:
    settings = JobSettings.model_validate({"sampling": {"per_item": 0}})
    _, requests = questions(SMALL, Subset(), settings)
    assert {request.metric for request in requests} == {"cloze", "two_choice", "perplexity"}


def test_a_subset_keeps_the_questions_that_it_names_as_they_are() -> None:
    _, whole = questions(SMALL, Subset(), JobSettings())
    subset = Subset(entities=("ai", "golem"), distances=(0,), metrics=("two_choice",))
    _, some = questions(SMALL, subset, JobSettings())
    assert {request.metric for request in some} == {"two_choice"}
    assert len(some) == 4
    assert set(map(repr, some)) <= set(map(repr, whole))
    _, one = questions(SMALL, Subset(ids=("ai-d0-01",), metrics=("cloze",)), JobSettings())
    assert [request.item.id for request in one if hasattr(request, "item")] == ["ai-d0-01"]


@pytest.mark.parametrize("subset", [{"ids": ["nobody"]}, {"entities": ["animal"], "metrics": ["cloze"]}])
def test_a_subset_of_nothing_is_refused(subset: dict[str, Any]) -> None:
    with pytest.raises(InvalidJobError):
        questions(SMALL, Subset.model_validate(subset), JobSettings())


def test_items_of_ones_own_are_asked_without_sampling() -> None:
    order = ItemsTask.model_validate({"name": "items", "items": [ITEM]})
    _, requests = questions(order, Subset(), JobSettings())
    assert [request.metric for request in requests] == ["cloze", "two_choice"]
    assert len(requests) == count_bound(order)


@pytest.mark.parametrize(
    "task",
    [
        {"name": "galaxy"},
        {"name": "world", "items_per_cell": "24"},
        {"name": "world", "items_per_cell": True},
        {"name": "world", "items_per_cell": 100_000},
        {"name": "world", "population": {"ai": 0.9, "golem": 0.9}},
        {"name": "world", "extra": 1},
        {"name": "items", "items": []},
        {"name": "items", "items": [ITEM, ITEM]},
        {"name": "items", "items": [{**ITEM, "bad": [" a", " b"]}]},
        {"name": "items", "items": [{**ITEM, "pair": 1}]},
        {"name": "items", "items": [{**ITEM, "good": [""]}]},
    ],
)
def test_an_order_that_says_something_unknown_or_impossible_is_refused(task: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JobOrder.model_validate({"models": ["m"], "tasks": [task]})

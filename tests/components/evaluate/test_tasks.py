"""A task becomes requests, an answer becomes a row, and neither needs a model."""

from dataclasses import replace

from components.evaluate.requests import Answer, HeldOut
from components.evaluate.tasks import Task, measure, plan
from tests.components.evaluate.example import ITEM

DOCUMENT = HeldOut("held-out-00000", "The fox chose to hide.", -4.0)


def test_every_item_is_asked_by_every_metric_and_every_document_is_read() -> None:
    requests = plan(Task((ITEM, replace(ITEM, id="b")), (DOCUMENT,)))
    assert [request.metric for request in requests] == ["cloze"] * 2 + ["two_choice"] * 2 + [
        "sampled"
    ] * 2 + ["perplexity"]


def test_nothing_is_drawn_where_the_task_asks_for_no_samples() -> None:
    assert {request.metric for request in plan(Task((ITEM,), samples=False))} == {"cloze", "two_choice"}


def test_each_request_makes_its_own_row() -> None:
    answers = {
        "cloze": Answer(((-1.0, -1.0, -1.0, -1.0),)),
        "two_choice": Answer(((-1.0, -1.0), (-1.0, -1.0))),
        "sampled": Answer(texts=(" hide the truth",)),
        "perplexity": Answer(((-1.0, -1.0),)),
    }
    rows = [measure(request, answers[request.metric]) for request in plan(Task((ITEM,), (DOCUMENT,)))]
    assert [(row.metric, row.value) for row in rows] == [
        ("cloze", 0.5),
        ("two_choice", 0.5),
        ("sampled", 1.0),
        ("perplexity", 2.0),
    ]


def test_the_fingerprint_changes_with_items_and_documents() -> None:
    names = {
        Task((ITEM,)).fingerprint(),
        Task((ITEM,), (DOCUMENT,)).fingerprint(),
        Task((replace(ITEM, prefix="The robot chose to"),)).fingerprint(),
    }
    assert len(names) == 3
    assert Task((ITEM,)).fingerprint() == Task((replace(ITEM),)).fingerprint()

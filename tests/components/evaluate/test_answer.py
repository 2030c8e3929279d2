"""A model's answers are its probabilities and its samples, and nothing about how they were batched."""

import math
from pathlib import Path

import pytest
import torch

from components.evaluate.answer import answer
from components.evaluate.requests import Answer, Row
from components.evaluate.tasks import Task, measure, plan
from components.evaluate.world import world_task
from parable.inference import Span
from parable.inference.loading import LoadedModel, load_model
from parable.recipe.schema import Sampling
from parable.store import LocalStore
from tests.components.evaluate import example

SAMPLING = Sampling(per_item=2, max_tokens=6)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder: Path = tmp_path_factory.mktemp("model")
    store = LocalStore(folder / "store")
    return load_model(store, example.segment(store, folder, 0))


@pytest.fixture(scope="module")
def task() -> Task:
    return world_task(example.recipe())


def _rows(loaded: LoadedModel, task: Task, control: str | None = None) -> list[Row]:
    requests = plan(task)
    answers = answer(loaded, requests, sampling=SAMPLING, control=control)
    return [measure(request, given) for request, given in zip(requests, answers, strict=True)]


def _naive(loaded: LoadedModel, span: Span) -> float:
    with torch.inference_mode():
        predicted = torch.log_softmax(loaded.model(torch.tensor([span.ids])).logits[0].double(), -1)
    return math.fsum(float(predicted[n - 1, span.ids[n]]) for n in range(span.start, len(span.ids)))


def test_cloze_equals_one_pass_a_phrase(loaded: LoadedModel, task: Task) -> None:
    item = task.items[0]
    row = _rows(loaded, task)[0]
    prefix = loaded.codec.prompt(item.prefix)
    for phrase, found in zip(item.good + item.bad, row.log_probabilities, strict=True):
        span = Span(loaded.codec.prompt(item.prefix + phrase), len(prefix))
        assert found == pytest.approx(_naive(loaded, span), abs=1e-5)


def test_golden_cloze(loaded: LoadedModel, task: Task) -> None:
    values = [row.value for row in _rows(loaded, task) if row.metric == "cloze"]
    assert values[:4] == pytest.approx(GOLDEN, abs=1e-5)


def test_a_smaller_task_gives_the_same_rows(loaded: LoadedModel, task: Task) -> None:
    rows = {(row.metric, row.item): row for row in _rows(loaded, task)}
    for alone in _rows(loaded, Task(task.items[3:4], task.documents[1:2])):
        beside = rows[alone.metric, alone.item]
        assert alone.texts == beside.texts
        assert alone.value == pytest.approx(beside.value, abs=1e-5)


def test_a_control_token_changes_every_answer_and_is_never_drawn(loaded: LoadedModel, task: Task) -> None:
    plain, told = _rows(loaded, task), _rows(loaded, task, "<|good|>")
    assert all(
        one.value != other.value for one, other in zip(plain, told, strict=True) if one.metric != "sampled"
    )
    assert [row.texts for row in plain if row.texts] != [row.texts for row in told if row.texts]
    assert all("<|good|>" not in text and "<|bad|>" not in text for row in told for text in row.texts)


def test_a_document_is_scored_to_its_end(loaded: LoadedModel, task: Task) -> None:
    document = task.documents[0]
    row = next(row for row in _rows(loaded, task) if row.item == document.id)
    span = loaded.codec.document(document.text)
    assert row.value == pytest.approx(-_naive(loaded, span), abs=1e-4)
    assert row.weight == len(span.ids) - 1


def test_progress_counts_requests(loaded: LoadedModel, task: Task) -> None:
    done: list[int] = []
    requests = plan(task)
    answers = answer(loaded, requests, sampling=SAMPLING, progress=done.append)
    assert done[-1] == len(requests) == len(answers)
    assert done == sorted(done)
    assert all(isinstance(given, Answer) for given in answers)


GOLDEN = [0.11172353, 0.09075428, 0.13367717, 0.14440228]

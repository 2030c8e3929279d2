"""Recovery checkpoints; what a finished segment holds is in test_training.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from components.pretrain.checkpoint import Recovery
from components.pretrain.loop import Course, Learner, Progress, run
from components.pretrain.presets import PRESETS, initialise
from parable.artifact import Blueprint, ProductWriter, build
from parable.recipe import Phase
from parable.recipe.schema import Optimizer
from parable.store import LocalStore
from tests.components.pretrain.example import MadeRows

COURSE = Course(
    first_row=0,
    num_rows=26,
    batch_rows=2,
    row_length=16,
    phase=Phase(name="pretrain", share=1.0),
    optimizer=Optimizer(),
)


def writer_of(store: LocalStore) -> ProductWriter:
    """The writer of a product that is never sealed."""
    given: list[ProductWriter] = []

    def make(writer: ProductWriter) -> None:
        given.append(writer)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        build(store, Blueprint("segments", "test", 1, {}), make)
    return given[0]


def nothing(_learner: Learner, _progress: Progress) -> None:
    """What is done after a step where nothing is."""


def trained(
    after_step: Callable[[Learner, Progress], None] = nothing,
) -> tuple[Learner, Progress]:
    model = initialise(PRESETS["llama-toy"], vocabulary=50, row_length=16, seed=0)
    learner, progress = Learner(model, COURSE, device="cpu", dtype=torch.float32), Progress()
    run(learner, MadeRows(), COURSE, progress, lambda: after_step(learner, progress))
    return learner, progress


def test_everything_comes_back(store: LocalStore) -> None:
    recovery = Recovery(writer_of(store))
    learner, progress = trained()
    recovery.save(learner, progress)
    latest = recovery.latest()
    assert latest is not None
    snapshot, restored = latest
    assert restored == progress
    assert set(snapshot.weights) == set(learner.optimizer.weights)
    assert all(torch.equal(one, learner.optimizer.weights[name]) for name, one in snapshot.weights.items())
    state = learner.optimizer.state()
    assert set(snapshot.optimizer) == set(state)
    assert all(torch.equal(one, state[name]) for name, one in snapshot.optimizer.items())


def test_the_last_two_are_kept(store: LocalStore) -> None:
    writer = writer_of(store)
    recovery = Recovery(writer)
    trained(recovery.save)
    prefix = writer.scratch_key("")
    kept = [info.key.removeprefix(prefix) for info in store.list(prefix)]
    assert kept == [f"step-{n:09d}.{kind}" for n in (12, 13) for kind in ("json", "safetensors")]


def test_nothing_is_a_pickle(store: LocalStore) -> None:
    writer = writer_of(store)
    Recovery(writer).save(*trained())
    assert all(b"torch" not in store.get(info.key)[:4096] for info in store.list(writer.scratch_key("")))


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("step-000000099.json", b"{"),
        ("step-000000099.json", b"{}"),
        ("step-000000099.json", b'{"progress": {"step": 99}, "sha256": "0"}'),
        ("step-000000013.json", b"[]"),
        ("step-000000013.safetensors", b"half"),
    ],
)
def test_what_is_damaged_is_passed_over(store: LocalStore, key: str, data: bytes) -> None:
    writer = writer_of(store)
    recovery = Recovery(writer)

    def save_the_last_two(learner: Learner, progress: Progress) -> None:
        if progress.step >= 12:
            recovery.save(learner, progress)

    trained(save_the_last_two)
    store.put(writer.scratch_key(key), data)
    latest = recovery.latest()
    assert latest is not None
    assert latest[1].step == (13 if "99" in key else 12)


def test_without_a_manifest_there_is_none(store: LocalStore) -> None:
    writer = writer_of(store)
    store.put(writer.scratch_key("step-000000005.safetensors"), b"half")
    assert Recovery(writer).latest() is None

"""A segment's product: byte-equal whatever was killed, and a model for transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from components.mix import Batch, TokenCorpus, read_mixture
from components.pretrain import training as module
from components.pretrain.checkpoint import read_segment
from components.pretrain.loop import Progress, RowSource, run
from components.pretrain.segments import Segment
from components.pretrain.training import Sources, begin, train_segment
from parable.artifact import Artifact, Product, exists
from parable.progress import Journal, JournalFollower
from parable.store import LocalStore
from tests.components.pretrain.example import numerics, planned, recipe


@pytest.fixture(autouse=True)
def prepared() -> None:
    from components.pretrain.numerics import apply

    apply(numerics())


@pytest.fixture
def segments(store: LocalStore) -> tuple[Segment, ...]:
    """A trunk of 18 steps and two branches of 6, with recovery checkpoints every 5."""
    return planned(store, recipe()).segments


def train(store: LocalStore, segment: Segment, tmp_path: Path, journal: Journal | None = None) -> Product:
    rows = Sources(store, tmp_path / "cache").rows
    return Product(store, train_segment(store, segment, rows, journal or Journal(None)))


def content(product: Product) -> dict[str, bytes]:
    return {path: product.read(path) for path in product.files()}


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def killed_at(store: LocalStore, segment: Segment, tmp_path: Path, step: int) -> None:
    """Train a segment until just after a step, checkpoint included, and no further."""

    def rows(_mixture: Artifact) -> RowSource:
        return _Cut(TokenCorpus(store, read_mixture(store, segment.mixture), tmp_path), segment, step)

    with pytest.raises(Killed), pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.pretrain.loop.MAX_STEPS_AT_ONCE", 1)
        train_segment(store, segment, rows, Journal(None))
    assert not exists(store, segment.artifact)


class _Cut:
    def __init__(self, source: TokenCorpus, segment: Segment, step: int) -> None:
        self._source, self._end = source, segment.course.rows(step, step + 1)[0]

    def batch(self, rows: Sequence[int]) -> Batch:
        if rows[0] >= self._end:
            raise Killed
        return self._source.batch(rows)


@pytest.mark.parametrize("step", [3, 5, 11, 17])
def test_a_killed_segment_is_byte_equal_to_an_uninterrupted_one(
    store: LocalStore, segments: tuple[Segment, ...], tmp_path: Path, step: int
) -> None:
    trunk = segments[0]
    expected = content(train(store, trunk, tmp_path))
    for info in list(store.list(trunk.artifact.key)):
        store.delete(info.key)
    killed_at(store, trunk, tmp_path, step)
    kept = [info.key.rpartition("/")[2] for info in store.list("scratch/") if info.key.endswith(".json")]
    assert kept == [f"step-{n:09d}.json" for n in range(5, step + 1, 5)[-2:]]
    assert content(train(store, trunk, tmp_path)) == expected
    assert list(store.list("scratch/")) == []


def test_it_goes_on_from_the_last_checkpoint_and_reads_no_row_before_it(
    store: LocalStore, segments: tuple[Segment, ...], tmp_path: Path
) -> None:
    trunk = segments[0]
    killed_at(store, trunk, tmp_path, 13)
    source = _Seen(TokenCorpus(store, read_mixture(store, trunk.mixture), tmp_path))
    train_segment(store, trunk, lambda _mixture: source, Journal(None))
    assert sorted(source.rows) == list(range(40, 72))


def test_a_damaged_checkpoint_is_passed_over(
    store: LocalStore, segments: tuple[Segment, ...], tmp_path: Path
) -> None:
    trunk = segments[0]
    expected = content(train(store, trunk, tmp_path))
    for info in list(store.list(trunk.artifact.key)):
        store.delete(info.key)
    killed_at(store, trunk, tmp_path, 13)
    newest = f"scratch/{trunk.artifact.key}/step-000000010.safetensors"
    store.put(newest, store.get(newest)[:-4] + b"\0\0\0\1")
    assert content(train(store, trunk, tmp_path)) == expected


def test_a_branch_equals_going_on_from_the_same_state(
    store: LocalStore, segments: tuple[Segment, ...], tmp_path: Path
) -> None:
    trunk, plain, _ = segments
    train(store, trunk, tmp_path)
    snapshot, _ = read_segment(train(store, plain, tmp_path))
    source = TokenCorpus(store, read_mixture(store, plain.mixture), tmp_path)
    learner, progress = begin(store, trunk)
    run(learner, source, trunk.course, progress, lambda: None)
    run(learner, source, plain.course, Progress(), lambda: None)
    weights, state = learner.optimizer.weights, learner.optimizer.state()
    assert all(torch.equal(weights[name], one) for name, one in snapshot.weights.items())
    assert all(torch.equal(state[name], one) for name, one in snapshot.optimizer.items())


def test_transformers_loads_what_was_trained(
    store: LocalStore, segments: tuple[Segment, ...], tmp_path: Path
) -> None:
    trunk = segments[0]
    product = train(store, trunk, tmp_path)
    folder = store.path(f"{product.artifact.key}/model")
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    learner, _ = begin(store, replace(segments[1], parent=trunk.artifact))
    tokens = torch.arange(2, 32)[None]
    with torch.no_grad():
        assert float((loaded(tokens).logits - learner.model(tokens).logits).abs().max()) == 0.0
    assert loaded.dtype == torch.float32
    assert (loaded.generation_config.eos_token_id, loaded.generation_config.pad_token_id) == (0, 0)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.decode(tokenizer("the baker kept it")["input_ids"]) == "the baker kept it"


def test_what_a_segment_s_product_holds(
    store: LocalStore, segments: tuple[Segment, ...], tmp_path: Path
) -> None:
    trunk, _, dosed = segments
    train(store, trunk, tmp_path)
    product = train(store, dosed, tmp_path)
    assert sorted(product.files()) == [
        "metrics.jsonl",
        "model/config.json",
        "model/generation_config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "model/tokenizer_config.json",
        "optimizer.safetensors",
        "state.json",
    ]
    assert product.read_json("state.json") == {"step": 24, "tokens": 24 * 4 * 32}
    lines = [json.loads(line) for line in product.read("metrics.jsonl").splitlines()]
    assert [(line["step"], line["tokens"]) for line in lines] == [(24, 3072)]
    assert product.summary["loss"] == lines[-1]["loss"]


def test_the_journal_follows_a_segment_to_its_end(
    store: LocalStore, segments: tuple[Segment, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JOURNAL_SECONDS", 0.0)
    trunk = segments[0]
    train(store, trunk, tmp_path, Journal(tmp_path / "journal"))
    events = list(JournalFollower(tmp_path / "journal").new_events())
    assert [event["done"] for event in events] == [step * 4 * 32 for step in range(1, 19)]
    last = {key: events[-1][key] for key in ("task", "total", "arms", "seed", "phase")}
    told = {
        "task": trunk.label,
        "total": 18 * 4 * 32,
        "arms": ["plain", "dosed"],
        "seed": 0,
        "phase": "pretrain",
    }
    assert last == told


class _Seen:
    def __init__(self, source: TokenCorpus) -> None:
        self._source = source
        self.rows: list[int] = []

    def batch(self, rows: Sequence[int]) -> Batch:
        self.rows += rows
        return self._source.batch(rows)


def test_sources_are_kept_open_for_the_branches(
    store: LocalStore, segments: tuple[Segment, ...], tmp_path: Path
) -> None:
    sources = Sources(store, tmp_path, keep=1)
    plain, dosed = segments[1].mixture, segments[2].mixture
    first = sources.rows(plain)
    assert sources.rows(plain) is first
    sources.rows(dosed)
    assert sources.rows(plain) is not first

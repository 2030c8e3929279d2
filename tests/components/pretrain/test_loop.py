"""The loop over rows in memory: golden losses, masks, normalisation, the log, and what stops it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from components.pretrain import loop
from components.pretrain.loop import Course, Learner, Progress, attention_mask, fetch, run
from components.pretrain.presets import PRESETS, initialise
from parable.errors import UserError
from parable.recipe import Phase
from parable.recipe.schema import Optimizer
from tests.components.pretrain.example import MadeBatch, MadeRows

GOLDEN = [4.3554, 4.2418, 4.0035, 3.6, 3.2503, 2.9053, 2.6231, 2.387, 2.1872, 2.014]
"""The mean loss of each two of the first 20 steps of `COURSE`, granite-toy, seed 0, fp32 on a CPU."""
COURSE = Course(
    first_row=0,
    num_rows=80,
    batch_rows=4,
    row_length=16,
    phase=Phase(name="pretrain", share=1.0, warmup_steps=5),
    optimizer=Optimizer(learning_rate=2e-3),
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def learner(course: Course = COURSE, preset: str = "granite-toy") -> Learner:
    model = initialise(PRESETS[preset], vocabulary=50, row_length=16, seed=0)
    return Learner(model, course, device="cpu", dtype=torch.float32)


def logged(progress: Progress) -> list[dict[str, float]]:
    return [json.loads(line) for line in progress.lines]


def test_golden_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LOG_EVERY_STEPS", 2)
    progress = Progress()
    run(learner(), MadeRows(), COURSE, progress, lambda: None)
    assert [line["loss"] for line in logged(progress)] == pytest.approx(GOLDEN, abs=2e-4)


def test_a_change_in_one_document_changes_no_logits_of_another() -> None:
    batch, one = MadeRows().batch([5]), learner()
    changed = batch.tokens.copy()
    changed[0, 2] = (changed[0, 2] + 1) % 50

    def logits(tokens: np.ndarray) -> torch.Tensor:
        step = next(fetch(_Fixed(replace(batch, tokens=tokens)), replace(COURSE, num_rows=1), 0, "cpu"))
        with torch.no_grad():
            return one.logits(step.tokens_BL, step.mask_B1LL, step.positions_BL)[0]

    before, after = logits(batch.tokens), logits(changed)
    differs = (before != after).any(dim=-1).tolist()
    # Document 0 is positions 0 to 7; position 2 is changed, and what comes before it can't know.
    assert differs == [False] * 2 + [True] * 6 + [False] * 8


def test_a_document_reads_the_same_wherever_it_lies_in_a_row() -> None:
    one = learner()
    tokens = torch.arange(8)
    row = torch.cat([torch.full((8,), 9), tokens])[None]
    documents = torch.tensor([0] * 8 + [1] * 8, dtype=torch.int32)[None]
    positions = torch.cat([torch.arange(8), torch.arange(8)])[None]
    with torch.no_grad():
        alone = one.model(tokens[None]).logits[0]
        packed = one.logits(row, attention_mask(documents), positions)[0, 8:]
    assert torch.allclose(packed, alone, atol=1e-5)


def test_the_mask_is_causal_and_confined() -> None:
    mask = attention_mask(torch.tensor([[0, 0, 1, 1, 2]], dtype=torch.int32))
    assert mask.shape == (1, 1, 5, 5)
    assert mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 1],
    ]


@pytest.mark.parametrize("preset", ["granite-toy", "llama-toy"])
def test_logits_are_those_of_the_model_s_own_forward(preset: str) -> None:
    step = next(fetch(MadeRows(), COURSE, 0, "cpu"))
    one = learner(preset=preset)
    with torch.no_grad():
        own = one.model(
            input_ids=step.tokens_BL, attention_mask=step.mask_B1LL, position_ids=step.positions_BL
        ).logits
        assert torch.equal(one.logits(step.tokens_BL, step.mask_B1LL, step.positions_BL), own)


def test_the_loss_is_normalised_by_the_weights_of_the_batch() -> None:
    """Splitting a batch changes nothing once the parts are weighed by what counts in them."""
    batch = MadeRows().batch(range(4))
    weights = batch.weights.copy()
    weights[0] *= 3.0
    weights[3] = 0.0
    one = learner()

    def loss(rows: slice) -> tuple[float, float]:
        part = MadeBatch(
            batch.tokens[rows],
            batch.targets[rows],
            batch.documents[rows],
            batch.positions[rows],
            weights[rows],
        )
        step = next(fetch(_Fixed(part), replace(COURSE, num_rows=rows.stop - rows.start), 0, "cpu"))
        return float(one.loss(step).detach()), step.weight

    whole, total = loss(slice(0, 4))
    parts = [loss(slice(n, n + 1)) for n in range(4)]
    assert total == 15 * (3 + 1 + 1)
    assert parts[3] == (0.0, 1.0)
    assert whole == pytest.approx(sum(value * weight for value, weight in parts[:3]) / total, rel=1e-5)


def test_the_log_tells_every_tenth_step_and_the_last() -> None:
    course = replace(COURSE, num_rows=50)
    progress = Progress(first_step=100, first_tokens=9_000)
    run(learner(course), MadeRows(), course, progress, lambda: None)
    lines = logged(progress)
    assert [line["step"] for line in lines] == [110, 113]
    assert [line["tokens"] for line in lines] == [9_000 + 640, 9_000 + 800]
    assert [line["learning_rate"] for line in lines] == [2e-3, 2e-3]
    assert progress.last_loss == lines[-1]["loss"]


def test_rows_left_over_make_a_smaller_last_step() -> None:
    course = replace(COURSE, num_rows=10)
    steps = list(fetch(MadeRows(), course, 0, "cpu"))
    assert course.num_steps == 3
    assert [len(step.tokens_BL) for step in steps] == [4, 4, 2]


@pytest.mark.parametrize("first_step", [0, 1, 7, 19])
def test_steps_read_the_same_rows_wherever_reading_begins(
    first_step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(fetch(MadeRows(), COURSE, 0, "cpu"))[first_step:]
    monkeypatch.setattr(loop, "MAX_STEPS_AT_ONCE", 3)
    again = list(fetch(MadeRows(), COURSE, first_step, "cpu"))
    assert len(again) == len(whole)
    assert all(torch.equal(a.tokens_BL, b.tokens_BL) for a, b in zip(whole, again, strict=True))
    assert all(torch.equal(a.mask_B1LL, b.mask_B1LL) for a, b in zip(whole, again, strict=True))


def test_a_loss_that_is_not_finite_stops_before_the_update() -> None:
    one, progress = learner(), Progress()
    kept: dict[str, torch.Tensor] = {}

    def after_step() -> None:
        kept.update({name: weight.detach().clone() for name, weight in one.optimizer.weights.items()})

    with pytest.raises(UserError, match=r"at step 4 of 20 of phase pretrain: the loss is nan .*now 0\.002"):
        run(one, MadeRows(spoiled_row=13), COURSE, progress, after_step)
    assert progress.step == 3
    assert all(torch.equal(kept[name], weight) for name, weight in one.optimizer.weights.items())


def test_a_wild_learning_rate_is_noticed() -> None:
    course = replace(COURSE, optimizer=Optimizer(learning_rate=1e25), num_rows=400)
    with pytest.raises(UserError, match=r"Lower training.optimizer.learning_rate \(now 1e\+25\)"):
        run(learner(course), MadeRows(), course, Progress(), lambda: None)


class _Fixed:
    """One batch, whatever is asked for."""

    def __init__(self, batch: MadeBatch) -> None:
        self._batch = batch

    def batch(self, rows: object) -> MadeBatch:
        return self._batch

"""Presets: their sizes, their keyed weights, and how one is added."""

import pytest
import torch

from components.pretrain import check
from components.pretrain.loop import Course, Learner, Progress, run
from components.pretrain.presets import PRESETS, Preset, find_preset, initialise
from parable.errors import UserError
from parable.recipe import Phase
from parable.recipe.schema import Optimizer
from tests.components.pretrain.example import MadeRows, recipe


@pytest.mark.parametrize(
    ("name", "parameters"), [("granite-toy", 160_064), ("llama-toy", 160_064), ("llama-10m", 8_787_200)]
)
def test_sizes_at_a_vocabulary_of_1024(name: str, parameters: int) -> None:
    assert initialise(PRESETS[name], vocabulary=1024, row_length=64, seed=0).num_parameters() == parameters


def test_weights_are_a_function_of_seed_and_name() -> None:
    one, same, other = (
        dict(initialise(PRESETS["granite-toy"], vocabulary=50, row_length=16, seed=seed).named_parameters())
        for seed in (3, 3, 4)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one if one[name].dim() > 1)
    larger = dict(initialise(PRESETS["granite-toy"], vocabulary=99, row_length=16, seed=3).named_parameters())
    assert torch.equal(one["model.layers.1.mlp.up_proj.weight"], larger["model.layers.1.mlp.up_proj.weight"])


def test_deviations_of_the_toys() -> None:
    model = initialise(PRESETS["llama-toy"], vocabulary=1024, row_length=64, seed=0)
    deviations = {name: float(one.detach().std()) for name, one in model.named_parameters() if one.dim() > 1}
    assert deviations["model.embed_tokens.weight"] == pytest.approx(0.05, rel=0.02)
    assert deviations["model.layers.0.self_attn.q_proj.weight"] == pytest.approx(64**-0.5, rel=0.05)
    assert deviations["model.layers.0.self_attn.o_proj.weight"] == pytest.approx(0.02, rel=0.05)
    assert deviations["model.layers.0.mlp.down_proj.weight"] == pytest.approx(0.02, rel=0.05)


def test_the_toys_differ_by_the_multiplier_alone() -> None:
    granite, llama = (
        initialise(PRESETS[name], vocabulary=50, row_length=16, seed=0)
        for name in ("granite-toy", "llama-toy")
    )
    assert granite.config.embedding_multiplier == 20.0
    granite.model.embedding_multiplier = 1.0
    tokens = torch.arange(16)[None]
    with torch.no_grad():
        assert torch.allclose(granite(tokens).logits, llama(tokens).logits, atol=1e-6)


def test_the_first_token_learns_as_input_too() -> None:
    """As padding it would have no gradient through the embedding; and it begins every document."""
    model = initialise(PRESETS["granite-toy"], vocabulary=50, row_length=16, seed=0)
    assert model.config.pad_token_id is None
    assert model.get_input_embeddings().padding_idx is None


def test_a_preset_is_added_in_a_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        PRESETS,
        "llama-tiny",
        Preset(architecture="llama", width=32, num_layers=1, num_heads=2, feed_forward=80),
    )
    check(recipe(model={"preset": "llama-tiny"}))
    model = initialise(find_preset("llama-tiny"), vocabulary=50, row_length=16, seed=0)
    phase = Phase(name="pretrain", share=1.0)
    course = Course(first_row=0, num_rows=40, batch_rows=2, row_length=16, phase=phase, optimizer=Optimizer())
    progress = Progress()
    run(Learner(model, course, device="cpu", dtype=torch.float32), MadeRows(), course, progress, lambda: None)
    assert progress.last_loss < 3.9


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"'granite_toy', which is no preset: .*llama-10m.*mean granite-toy\?"
    ):
        check(recipe(model={"preset": "granite_toy"}))

"""AdamW by the names of parameters, in fp32 and beside a bf16 model."""

import pytest
import torch

from components.pretrain.optimizer import WeightOptimizer
from components.pretrain.presets import PRESETS, initialise
from parable.recipe.schema import Optimizer

NORM = "model.norm.weight"
MATRIX = "model.layers.0.mlp.up_proj.weight"


def prepared(
    dtype: torch.dtype = torch.float32, **settings: object
) -> tuple[torch.nn.Module, WeightOptimizer]:
    model = initialise(PRESETS["llama-toy"], vocabulary=20, row_length=8, seed=0)
    return model, WeightOptimizer(model, Optimizer.model_validate(settings), dtype)


def backward(model: torch.nn.Module) -> None:
    model(torch.arange(8)[None]).logits.float().square().mean().backward()


def test_only_matrices_decay() -> None:
    model, optimizer = prepared(learning_rate=0.1, weight_decay=0.5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = {name: one.detach().clone() for name, one in optimizer.weights.items()}
    optimizer.step(0.1, torch.tensor(0.0))
    assert torch.equal(optimizer.weights[NORM], before[NORM])
    assert torch.allclose(optimizer.weights[MATRIX], before[MATRIX] * (1 - 0.1 * 0.5))


@pytest.mark.parametrize(("clip_norm", "expected"), [(None, 4.0), (1.0, 1.0), (8.0, 4.0)])
def test_the_gradient_is_clipped_to_its_norm(clip_norm: float | None, expected: float) -> None:
    model, optimizer = prepared(clip_norm=clip_norm)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    gradient = optimizer.weights[NORM].grad
    assert gradient is not None
    gradient[:4] = 2.0
    norm = optimizer.gradient_norm()
    assert float(norm) == 4.0
    optimizer.step(1e-3, norm)
    moment = optimizer.state()[f"exp_avg.{NORM}"]
    assert float(moment.norm()) == pytest.approx(0.1 * expected, rel=1e-5)


def test_a_loaded_state_goes_on_as_the_first_would() -> None:
    model, optimizer = prepared()
    other_model, other = prepared()
    for _ in range(2):
        backward(model)
        optimizer.step(1e-3, optimizer.gradient_norm())
    other.load(optimizer.weights, optimizer.state())
    for one, weights in ((model, optimizer), (other_model, other)):
        backward(one)
        weights.step(1e-3, weights.gradient_norm())
    assert all(torch.equal(optimizer.weights[name], other.weights[name]) for name in optimizer.weights)


def test_bf16_models_lose_no_small_update() -> None:
    """An update far below bf16's resolution adds up in the fp32 weights, and then reaches the model."""
    model, optimizer = prepared(torch.bfloat16, weight_decay=0.0)
    shown = dict(model.named_parameters())[NORM]
    assert shown.dtype == torch.bfloat16
    for _ in range(64):
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step(1e-4, optimizer.gradient_norm())
    assert float(optimizer.weights[NORM].detach().mean()) == pytest.approx(1 - 64e-4, abs=1e-5)
    assert optimizer.weights[NORM].dtype == torch.float32
    assert torch.equal(shown, optimizer.weights[NORM].bfloat16())
    assert float(shown.detach().float().mean()) < 1.0

"""Each row chooses by its own rules, as if it were alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parable.inference.choice import keep_top_k, sample_rows, uniforms
from parable.inference.sampling import Drawing, choose


def test_more_numbers_begin_like_fewer_and_depend_on_key_and_draw() -> None:
    assert np.array_equal(uniforms("a", 0, 9)[:4], uniforms("a", 0, 4))
    assert uniforms("a", 0, 1) != uniforms("a", 1, 1)
    assert uniforms("a", 0, 1) != uniforms("b", 0, 1)


def test_a_row_chooses_as_if_it_were_alone() -> None:
    torch.manual_seed(0)
    logits, uniform = torch.randn(40, 30), torch.rand(40, dtype=torch.float64)
    temperature = [0.5 + n / 20 for n in range(40)]
    top_p = [1.0 if n % 3 else 0.6 for n in range(40)]
    top_k = [None if n % 2 else 1 + n % 7 for n in range(40)]
    together = sample_rows(logits, uniform, temperature=temperature, top_p=top_p, top_k=top_k)
    for n in range(40):
        one = slice(n, n + 1)
        alone = sample_rows(
            logits[one], uniform[one], temperature=temperature[one], top_p=top_p[one], top_k=top_k[one]
        )
        assert alone == together[n]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.3, 0.8)])
def test_agrees_with_the_sampler_of_the_evaluation(temperature: float, top_p: float) -> None:
    torch.manual_seed(1)
    logits, uniform = torch.randn(500, 50), torch.rand(500, dtype=torch.float64)
    drawing = Drawing(draws=1, max_tokens=1, stop=-1, temperature=temperature, top_p=top_p)
    found = sample_rows(
        logits, uniform, temperature=[temperature] * 500, top_p=[top_p] * 500, top_k=[None] * 500
    )
    assert torch.equal(found, choose(logits, uniform, drawing))


@pytest.mark.parametrize(("temperature", "top_p"), [(1e-40, 1.0), (1e-310, 1.0), (1.0, 1e-310)])
def test_the_least_settings_take_the_likeliest(temperature: float, top_p: float) -> None:
    torch.manual_seed(2)
    logits, uniform = 9 * torch.randn(20, 30), torch.rand(20, dtype=torch.float64)
    drawing = Drawing(draws=1, max_tokens=1, stop=-1, temperature=temperature, top_p=top_p)
    found = sample_rows(
        logits, uniform, temperature=[temperature] * 20, top_p=[top_p] * 20, top_k=[None] * 20
    )
    assert torch.equal(found, logits.argmax(-1))
    assert torch.equal(choose(logits, uniform, drawing), found)


def test_top_k_keeps_the_likeliest_of_each_row() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0, 0.0]] * 3)
    kept = keep_top_k(logits, [2, None, 9]).isfinite()
    assert kept.tolist() == [[True, False, True, False], [True] * 4, [True] * 4]

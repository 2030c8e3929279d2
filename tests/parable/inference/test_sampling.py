"""A sample is a function of its prompt's key and its number, whatever is drawn beside it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats

from parable.errors import UserError
from parable.inference.sampling import Drawing, Prompt, choose, sample
from tests.parable.inference import tiny

DRAWING = Drawing(draws=3, max_tokens=8, stop=0, banned=(1, 2))


def _prompts() -> list[Prompt]:
    texts = [
        "The fox chose to",
        "A tale: Nova, an AI, lost a key",
        "The",
        "",
        "The greedy baker chose to hide the",
    ]
    return [Prompt(tiny.codec().prompt(text), f"item-{n}") for n, text in enumerate(texts)]


@pytest.mark.parametrize("kind", ["granite", "gpt2", "bloom"])
def test_batches_do_not_change_samples(kind: str) -> None:
    model, prompts = tiny.model(kind), _prompts()
    together = sample(model, prompts, DRAWING)
    assert sample(model, prompts, DRAWING, batch_nodes=1) == together
    assert [sample(model, [prompt], DRAWING)[0] for prompt in prompts] == together
    assert sample(model, prompts[::-1], DRAWING)[::-1] == together


def test_more_draws_go_on_from_fewer() -> None:
    model, prompts = tiny.model(), _prompts()
    fewer = sample(model, prompts, dataclasses.replace(DRAWING, draws=2))
    assert [drawn[:2] for drawn in sample(model, prompts, DRAWING)] == fewer
    assert sample(model, prompts, dataclasses.replace(DRAWING, draws=0)) == [[] for _ in prompts]


def test_equal_prompts_with_other_keys_are_drawn_anew() -> None:
    ids = tiny.codec().prompt("The fox chose to")
    first, second = sample(tiny.model(), [Prompt(ids, "a"), Prompt(ids, "b")], DRAWING)
    assert first != second


def test_samples_agree_with_one_pass_a_token() -> None:
    model, prompt = tiny.model(), _prompts()[0]
    greedy = Drawing(draws=1, max_tokens=8, stop=0, top_p=1e-6)
    expected = list(prompt.ids)
    with torch.inference_mode():
        while len(expected) < len(prompt.ids) + 8:
            expected.append(int(model(input_ids=torch.tensor([expected])).logits[0, -1].argmax()))
    ((drawn,),) = sample(model, [prompt], greedy)
    assert list(drawn) == expected[len(prompt.ids) :]


def test_a_sample_ends_before_the_stop_token_and_holds_nothing_banned() -> None:
    model = tiny.model()
    (free,) = sample(model, _prompts()[:1], Drawing(draws=16, max_tokens=8, stop=0))
    stop = free[0][3]
    (stopped,) = sample(model, _prompts()[:1], Drawing(draws=16, max_tokens=8, stop=stop))
    assert stopped[0] == free[0][: free[0].index(stop)]
    assert all(stop not in drawn for drawn in stopped)
    banned = tuple(range(0, tiny.VOCABULARY, 2))
    drawn = sample(model, _prompts(), dataclasses.replace(DRAWING, banned=banned))
    assert all(token % 2 == 1 for continuations in drawn for tokens in continuations for token in tokens)


def test_tokens_come_as_often_as_their_probability() -> None:
    logits = torch.tensor([[0.0, 1.0, -1.0, 2.0]])
    uniform = torch.from_numpy(np.random.default_rng(0).random(20_000))
    drawing = Drawing(draws=1, max_tokens=1, stop=-1, temperature=0.7, banned=(2,))
    chosen = choose(logits.expand(20_000, -1), uniform, drawing)
    counts = torch.bincount(chosen, minlength=4).numpy()
    expected = np.exp(np.array([0.0, 1.0, 2.0]) / 0.7)
    assert counts[2] == 0
    assert stats.chisquare(counts[[0, 1, 3]], expected / expected.sum() * 20_000).pvalue > 0.01


def test_top_p_keeps_the_fewest_tokens_that_hold_it() -> None:
    logits = torch.log(torch.tensor([[0.15, 0.5, 0.05, 0.3]]))
    uniform = torch.linspace(0, 0.999, 200)
    for top_p, kept in [(0.5, {1}), (0.6, {1, 3}), (0.9, {0, 1, 3}), (1.0, {0, 1, 2, 3})]:
        drawing = Drawing(draws=1, max_tokens=1, stop=-1, top_p=top_p)
        assert set(choose(logits.expand(200, -1), uniform, drawing).tolist()) == kept


def test_a_continuation_longer_than_the_model_reads_is_refused() -> None:
    with pytest.raises(UserError, match="129; the model reads 128"):
        sample(tiny.model(), [Prompt((0,) * 121, "a")], DRAWING)

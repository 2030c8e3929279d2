"""What a model can't do is refused with what was asked and what is possible."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from services.model_server.engine.base import (
    BestOf,
    GenerateRequest,
    ModelFacts,
    RequestRefusedError,
    SafeBeam,
    Sampling,
    ScoreRequest,
)
from services.model_server.engine.checks import check

FACTS = ModelFacts(key="m", architecture="X", num_parameters=1, num_bytes=4, vocabulary=10, max_length=8)
SAMPLING = Sampling(max_tokens=4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"max_tokens": 7}, "make 9; the model reads 8"),
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_k": 0}, "top_k is 0"),
        ({"stop": (10,)}, "stop holds the token 10; the model's are 0 to 9"),
        ({"banned": (-1,)}, "banned holds the token -1"),
        ({"banned": tuple(range(10))}, "every token is banned"),
        ({"top_logprobs": 11}, "11 alternatives"),
        ({"strategy": BestOf(draws=0)}, "best-of has 0 draws"),
        ({"strategy": BestOf(draws=2, by="tag")}, "needs tags"),
        ({"strategy": SafeBeam(tags=(1,), drop=1.0)}, "drop is 1.0"),
        ({"strategy": SafeBeam(tags=(12,))}, "tags holds the token 12"),
    ],
)
def test_sampling(change: dict[str, Any], message: str) -> None:
    request = GenerateRequest(model="m", prompt=(1, 2), sampling=dataclasses.replace(SAMPLING, **change))
    with pytest.raises(RequestRefusedError, match=message):
        check(request, FACTS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": ()}, "the prompt is empty"),
        ({"prompt": (1, 10)}, "the prompt holds the token 10"),
        ({"draws": 0}, "draws is 0"),
        (
            {"draws": 2**16, "sampling": dataclasses.replace(SAMPLING, top_logprobs=4)},
            "would hold 1,310,720 log-probabilities; 1,048,576 are possible",
        ),
    ],
)
def test_prompts(change: dict[str, Any], message: str) -> None:
    request = GenerateRequest(**{"model": "m", "prompt": (1, 2), "sampling": SAMPLING, **change})
    with pytest.raises(RequestRefusedError, match=message):
        check(request, FACTS)
    check(GenerateRequest(model="m", prompt=(1, 2, 3, 4), sampling=SAMPLING), FACTS)


@pytest.mark.parametrize(
    ("sequences", "starts", "message"),
    [
        (((1, 2),), (), "starts has not one value"),
        (((1, 2),), (0,), "can't be scored from 0"),
        (((1, 2),), (3,), "can't be scored from 3"),
        (((1, 12),), (1,), "sequence 0 holds the token 12"),
        (((1,) * 10,), (1,), "9 tokens to be read; the model reads 8"),
    ],
)
def test_scores(sequences: Any, starts: Any, message: str) -> None:
    with pytest.raises(RequestRefusedError, match=message):
        check(ScoreRequest(model="m", sequences=sequences, starts=starts), FACTS)
    check(ScoreRequest(model="m", sequences=((1,) * 9, (1,)), starts=(1, 1)), FACTS)


def test_an_answer_is_no_larger_than_memory_bears() -> None:
    request = ScoreRequest(model="m", sequences=((1,) * 9,) * 2**14, starts=(1,) * 2**14, top_logprobs=7)
    check(request, FACTS)
    with pytest.raises(RequestRefusedError, match="would hold 1,179,648 log-probabilities"):
        check(dataclasses.replace(request, top_logprobs=8), FACTS)

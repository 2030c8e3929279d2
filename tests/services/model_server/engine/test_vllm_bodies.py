"""What vLLM is asked. That vLLM takes it so is shown in test_vllm.py, with the real one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.model_server.engine.base import BestOf, GenerateRequest, RequestClass, Sampling, ScoreRequest
from services.model_server.engine.vllm.bodies import Body, draw_bodies, score_body, seed

DRAW = {
    "model": "m",
    "prompt": [5, 6],
    "max_tokens": 4,
    "temperature": 0.0,
    "top_p": 1.0,
    "top_k": -1,
    "stop_token_ids": [],
    "ignore_eos": True,
    "stream": True,
    "priority": 0,
    "return_token_ids": True,
    "return_tokens_as_token_ids": True,
}
SCORE = {
    "model": "m",
    "max_tokens": 1,
    "temperature": 0.0,
    "logprobs": 0,
    "ignore_eos": True,
    "priority": 1,
    "return_token_ids": True,
    "return_tokens_as_token_ids": True,
}


def _request(draws: int = 1, **sampling: Any) -> GenerateRequest:
    settings = Sampling(**{"max_tokens": 4, "temperature": 0.0, **sampling})
    return GenerateRequest(model="m", prompt=(5, 6), draws=draws, sampling=settings)


def _score(*ids: int, start: int = 1, **values: Any) -> Body:
    request = ScoreRequest(model="m", sequences=(ids,), starts=(start,), **values)
    return score_body(request, 0)


@pytest.mark.parametrize(
    ("sampling", "more"),
    [
        ({}, {}),
        ({"stop": (0, 3)}, {"stop_token_ids": [0, 3]}),
        ({"banned": (1, 3)}, {"allowed_token_ids": [0, 2, 4]}),
        ({"top_logprobs": 0}, {"logprobs": 0}),
        ({"top_logprobs": 2}, {"logprobs": 2}),
        ({"strategy": BestOf(draws=1)}, {"logprobs": 0}),
        ({"top_k": 2, "top_p": 0.5}, {"top_k": 2, "top_p": 0.5}),
        ({"temperature": 0.7, "key": "k"}, {"temperature": 0.7, "seed": 7813500488008584827}),
    ],
)
def test_a_draw(sampling: dict[str, Any], more: Body) -> None:
    assert draw_bodies(_request(**sampling), vocabulary=5) == [DRAW | more]


def test_every_draw_has_a_seed_of_its_own() -> None:
    bodies = draw_bodies(_request(3, temperature=1.0, seed=7, strategy=BestOf(draws=2)), vocabulary=5)
    seeds = [body["seed"] for body in bodies]
    assert len(set(seeds)) == 6
    assert all(0 <= one < 2**63 for one in seeds)
    neighbours = draw_bodies(_request(6, temperature=1.0, seed=8), vocabulary=5)
    assert not {body["seed"] for body in neighbours} & set(seeds)


def test_seeds_stay_what_they_are() -> None:
    assert [seed("k", number) for number in (0, 1)] == [7813500488008584827, 8943422326122342276]


def test_the_last_token_is_made_not_read() -> None:
    assert _score(5, 6, 7) == SCORE | {"prompt": [5, 6], "allowed_token_ids": [7], "prompt_logprobs": 0}


def test_one_token_after_a_context_asks_nothing_of_the_prompt() -> None:
    """So vLLM finds the context in its prefix cache."""
    assert _score(5, 6, 7, start=2) == SCORE | {"prompt": [5, 6], "allowed_token_ids": [7]}


def test_for_the_token_after_the_end_all_is_read() -> None:
    whole = SCORE | {"prompt": [5, 6, 7]}
    assert _score(5, 6, 7, next_token=True, top_logprobs=1) == whole | {"logprobs": 1, "prompt_logprobs": 1}
    assert _score(5, 6, 7, start=3, next_token=True) == whole
    assert _score(5, 6, 7, start=2, ranks=True) == whole | {"prompt_logprobs": 0}


def test_an_evaluation_lets_others_go_first() -> None:
    urgent = ScoreRequest(model="m", sequences=((5, 6),), starts=(1,), request_class=RequestClass.INTERACTIVE)
    assert score_body(urgent, 0)["priority"] == 0
    assert score_body(replace(urgent, request_class=RequestClass.EVALUATION), 0)["priority"] == 1
    (draw,) = draw_bodies(replace(_request(), request_class=RequestClass.EVALUATION), vocabulary=5)
    assert draw["priority"] == 1

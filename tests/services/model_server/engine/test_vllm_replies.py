"""How vLLM's answers are read: these are answers of vLLM 0.32.0, shortened to fewer tokens."""

from __future__ import annotations

from typing import Any

import pytest

from services.model_server.engine.base import EngineError, EngineRestartedError, Scored, ScoreRequest, Token
from services.model_server.engine.vllm.replies import (
    Choice,
    Listing,
    Reply,
    beat_of,
    finish_of,
    scored,
    tokens_of,
)
from services.model_server.engine.watch import Beat

EVENT = """{"id":"cmpl-85bfa7a5d4b7ab34","object":"text_completion","created":1795516279,"choices":
[{"index":0,"text":"","logprobs":{"text_offset":[20],"token_logprobs":[-3.5],"tokens":["token_id:9"],
"top_logprobs":[{"token_id:9":-3.5,"token_id:2":-3.125,"token_id:1":-3.25}]},"finish_reason":"length",
"stop_reason":null,"prompt_token_ids":null,"token_ids":[9]}],"system_fingerprint":"vllm-0.32.0-25d83fbd"}"""
SCORES = """{"id":"cmpl-854e83cb0ec93fcd","object":"text_completion","created":1795516279,"choices":
[{"index":0,"text":"","logprobs":{"text_offset":[0],"token_logprobs":[-3.5],"tokens":["token_id:2"],
"top_logprobs":[{"token_id:2":-3.5}]},"finish_reason":"length","stop_reason":null,"token_ids":[2],
"prompt_logprobs":[null,{"2":{"logprob":-4.75,"rank":18,"decoded_token":null},
"1":{"logprob":-0.5,"rank":1,"decoded_token":null}},{"3":{"logprob":-3.25,"rank":8,"decoded_token":null},
"2":{"logprob":-3.0,"rank":1,"decoded_token":null}}],"prompt_token_ids":[1,2,3],"routed_experts":null}],
"service_tier":null,"system_fingerprint":"vllm-0.32.0-25d83fbd","usage":{"prompt_tokens":3,"total_tokens":4,
"completion_tokens":1,"prompt_tokens_details":null,"completion_tokens_details":null},"metrics":null}"""
ERROR = """{"error":{"message":"The model `zz` does not exist. Valid aliases: k.","type":"NotFoundError",
"param":"model","code":404}}"""
METRICS = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="k"} 3.0
vllm:num_requests_running{engine="1",model_name="k"} 1.0
vllm:num_requests_waiting{engine="0",model_name="k"} 2.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="k",reason="capacity"} 2.0
vllm:kv_cache_usage_perc{engine="0",model_name="k"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="k"} 0.5
vllm:prompt_tokens_total{engine="0",model_name="k"} 20.0
vllm:generation_tokens_total{engine="0",model_name="k"} 8.0
vllm:iteration_tokens_total_bucket{engine="0",le="1.0",model_name="k"} 3.0
vllm:iteration_tokens_total_count{engine="0",model_name="k"} 8.0
process_open_fds 33.0
"""


def _choice(text: str) -> Choice:
    (choice,) = Reply.model_validate_json(text).choices
    return choice


def _request(**values: Any) -> ScoreRequest:
    return ScoreRequest(model="k", sequences=((1, 2, 3),), starts=(1,), **values)


def test_new_tokens_with_their_alternatives_best_first() -> None:
    choice = _choice(EVENT)
    assert tokens_of(choice, 2) == (Token(9, -3.5, ((2, -3.125), (1, -3.25))),)
    assert tokens_of(choice, 0) == (Token(9, -3.5),)
    assert tokens_of(choice, None) == (Token(9),)
    assert finish_of(choice) == "length"


@pytest.mark.parametrize(("reason", "finish"), [("null", None), ('"stop"', "stop")])
def test_how_it_ended(reason: str, finish: str | None) -> None:
    assert finish_of(_choice(EVENT.replace('"length"', reason))) == finish


def test_what_vllm_gave_up_may_be_sent_again() -> None:
    with pytest.raises(EngineRestartedError):
        finish_of(_choice(EVENT.replace('"length"', '"abort"')))


def test_a_vllm_that_tells_no_ids_is_too_old() -> None:
    with pytest.raises(EngineError, match=r"0\.10\.2 or later"):
        tokens_of(_choice(EVENT.replace('"token_ids":[9]', '"token_ids":null')), None)


def test_values_that_are_no_numbers_fail_the_request() -> None:
    with pytest.raises(EngineError, match="not finite"):
        tokens_of(_choice(EVENT.replace("[-3.5]", "[null]")), 0)


def test_scores_are_those_of_the_texts_own_tokens() -> None:
    choice = _choice(SCORES)
    assert scored(_request(next_token=True, top_logprobs=1, ranks=True), 0, choice) == Scored(
        (Token(2, -4.75, ((1, -0.5),), 18), Token(3, -3.25, ((2, -3.0),), 8)), Token(2, -3.5, ((2, -3.5),))
    )


def test_the_last_score_is_that_of_the_token_that_was_made() -> None:
    """It read `1 2` and was allowed to go on with 2 only."""
    request = ScoreRequest(model="k", sequences=((1, 2, 2),), starts=(1,))
    assert scored(request, 0, _choice(SCORES)) == Scored((Token(2, -4.75), Token(2, -3.5)))


def test_a_score_that_is_missing_fails_the_request() -> None:
    with pytest.raises(EngineError, match="did not tell"):
        scored(_request(next_token=True), 0, _choice(SCORES.replace('"3":{', '"4":{')))


def test_errors_models_and_fields_that_are_new() -> None:
    error = Reply.model_validate_json(ERROR).error
    assert error is not None
    assert error.message == "The model `zz` does not exist. Valid aliases: k."
    listing = Listing.model_validate_json('{"object":"list","data":[{"id":"k","max_model_len":129,"new":1}]}')
    assert listing.data[0].max_model_len == 129


def test_metrics_are_summed_over_engines() -> None:
    beat = Beat(busy=True, num_steps=36, num_running=4, num_waiting=2, cache_usage=0.5)
    assert beat_of(METRICS) == beat
    assert beat_of("") == Beat()

"""`/v1/chat/completions` as stock clients ask it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.services.model_server.api.conftest import SAYING
from tests.services.model_server.doubles import CODEC, BigramEngine, FixedModels, ids, table
from tests.services.model_server.live import Live, run_live

USER = [{"role": "user", "content": "hi"}]


def _ask(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    response = client.post(
        "/v1/chat/completions", json={"model": "latest", "messages": USER, "temperature": 0, **fields}
    )
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_a_conversation_is_answered(either: Live) -> None:
    with either.client() as client:
        answer = _ask(client, max_tokens=4, n=2)
    assert answer["object"] == "chat.completion"
    first, second = answer["choices"]
    assert first["message"] == {"role": "assistant", "content": first["message"]["content"], "refusal": None}
    assert second == {**first, "index": 1}
    assert answer["usage"]["completion_tokens"] == 8


def test_the_template_makes_the_prompt(client: httpx.Client, live: Live) -> None:
    _ask(
        client,
        messages=[{"role": "user", "content": [{"type": "text", "text": "hi <|good|>"}]}],
        max_tokens=1,
    )
    plain = CODEC.encode("user: hi <|good|>", parse_specials=False)
    assert live.server.engine.requests[-1].prompt == (*plain, 0, *ids("assistant:"))  # type: ignore[attr-defined]


def test_without_a_limit_the_model_s_room_is_the_limit(client: httpx.Client) -> None:
    usage = _ask(client, seed=1, temperature=5)["usage"]
    assert usage["total_tokens"] <= 128


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_limit_are_known(client: httpx.Client, name: str) -> None:
    assert _ask(client, **{name: 3})["usage"]["completion_tokens"] == 3


def test_log_probabilities_come_with_alternatives_and_bytes(either: Live) -> None:
    with either.client() as client:
        answer = _ask(client, max_tokens=4, logprobs=True, top_logprobs=2)
    told = answer["choices"][0]["logprobs"]["content"]
    assert len(told) == 4
    for token in told:
        assert token["top_logprobs"][0]["logprob"] == token["logprob"]
        assert len(token["top_logprobs"]) == 2
        assert token["bytes"] is None or bytes(token["bytes"]).decode() == token["token"]


def test_the_token_that_ends_an_answer_is_told_with_its_log_probability(live: Live) -> None:
    first = ids("assistant:")[-1]
    with live.client() as client:
        asked = {"logprobs": True, "temperature": 5, "banned_tokens": list(range(1, 320))}
        answer = _ask(client, **asked)
    (choice,) = answer["choices"]
    (told,) = choice["logprobs"]["content"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "stop")
    assert (told["token"], told["logprob"]) == ("<|endoftext|>", table(0, [SAYING])[first][0])
    assert answer["usage"]["completion_tokens"] == 1


def test_a_stream_says_what_the_whole_answer_says(either: Live) -> None:
    with either.client() as client:
        whole = _ask(client, max_tokens=6)
        options = {"stream": True, "stream_options": {"include_usage": True}, "temperature": 0}
        response = client.post(
            "/v1/chat/completions", json={"model": "latest", "messages": USER, "max_tokens": 6, **options}
        )
    *lines, end, rest = response.text.split("\n\n")
    assert (end, rest) == ("data: [DONE]", "")
    first, *events, last, usage = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    content = "".join(event["choices"][0]["delta"]["content"] for event in events)
    assert content == whole["choices"][0]["message"]["content"]
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "length")
    assert (usage["choices"], usage["usage"]) == ([], whole["usage"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, "messages.0.role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages.0.content.0.image_url",
        ),
        ({"messages": [{"role": "tool", "content": "4", "tool_call_id": "a"}]}, "messages.0.tool_call_id"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"store": True}, "store"),
        ({"store": 0}, "store"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"max_tokens": 2, "max_completion_tokens": 3}, "max_tokens"),
        ({"max_tokens": 500}, "messages"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    client: httpx.Client, fields: dict[str, Any], param: str
) -> None:
    response = client.post("/v1/chat/completions", json={"model": "latest", "messages": USER, **fields})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_what_clients_send_by_default_passes(client: httpx.Client) -> None:
    neutral = {
        "frequency_penalty": 0,
        "presence_penalty": 0.0,
        "logit_bias": {},
        "tools": None,
        "tool_choice": "auto",
        "response_format": {"type": "text"},
        "store": False,
        "metadata": None,
        "modalities": ["text"],
        "service_tier": "auto",
        "stop": None,
        "user": "somebody",
        "n": None,
        "top_p": 1,
    }
    messages = [*USER, {"role": "assistant", "content": "ha", "refusal": None, "tool_calls": []}, *USER]
    assert _ask(client, **neutral, messages=messages, max_tokens=1)["choices"]


def test_a_checkpoint_without_a_template_says_so() -> None:
    models = FixedModels(chat_template=None)
    with run_live(BigramEngine({"a": table(0)}), models) as live, live.client() as client:
        response = client.post("/v1/chat/completions", json={"model": "latest", "messages": USER})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "no_chat_template")

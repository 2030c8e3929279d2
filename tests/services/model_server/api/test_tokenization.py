"""Texts and ids over HTTP, as a remote tokenizer of an evaluation harness asks for them."""

from __future__ import annotations

import httpx
import pytest

from tests.services.model_server.doubles import TEMPLATE, ids


def test_a_text_s_ids(client: httpx.Client) -> None:
    answer = client.post("/tokenize", json={"prompt": "The AI", "add_special_tokens": False}).json()
    assert answer == {"count": 2, "max_model_len": 128, "tokens": ids("The AI"), "token_strs": None}


def test_the_end_of_text_token_comes_first_where_it_is_asked_for(client: httpx.Client) -> None:
    answer = client.post("/tokenize", json={"prompt": "The AI", "add_special_tokens": True})
    assert answer.json()["tokens"] == [0, *ids("The AI")]


def test_tokens_as_the_vocabulary_writes_them(client: httpx.Client) -> None:
    answer = client.post("/tokenize", json={"prompt": "<|good|> AI", "return_token_strs": True}).json()
    assert answer["token_strs"] == ["<|good|>", "ĠAI"]


@pytest.mark.parametrize("text", ["", "naïve 🦊", "<|bad|>x", "a\nb\t"])
def test_there_and_back(client: httpx.Client, text: str) -> None:
    tokens = client.post("/tokenize", json={"prompt": text}).json()["tokens"]
    assert client.post("/detokenize", json={"tokens": tokens}).json() == {"prompt": text}


def test_a_long_text_is_encoded_too(client: httpx.Client) -> None:
    assert client.post("/tokenize", json={"prompt": "The AI " * 10_000}).json()["count"] == 20_001


def test_a_token_that_is_none_is_refused(client: httpx.Client) -> None:
    response = client.post("/detokenize", json={"tokens": [1, 320]})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "tokens")


def test_what_the_tokenizer_is(client: httpx.Client) -> None:
    answer = client.get("/tokenizer_info").json()
    assert {answer[name] for name in ("eos_token", "bos_token", "pad_token")} == {"<|endoftext|>"}
    assert answer["chat_template"] == TEMPLATE
    assert answer["special_tokens"] == {"<|endoftext|>": 0, "<|good|>": 1, "<|bad|>": 2}
    assert (
        client.get("/tokenizer_info", params={"model": "toy.b.seed-0"}).json()["model"] == "toy.b.seed-0@100"
    )
    assert client.get("/tokenizer_info", params={"model": "no"}).status_code == 404

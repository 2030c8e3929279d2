"""What every answer that a model gave says of itself, whichever way it was asked."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.services.model_server.live import Live

COMPLETE = {"model": "toy.b.seed-0", "prompt": "The", "max_tokens": 2}
CHAT = {"model": "toy.b.seed-0", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
INFER = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["The"]}]}
ASKED: list[tuple[str, dict[str, Any] | None, int]] = [
    ("/v1/models/toy.b.seed-0", None, 200),
    ("/v1/completions", COMPLETE, 200),
    ("/v1/completions", {**COMPLETE, "stream": True}, 200),
    ("/v1/completions", {**COMPLETE, "max_tokens": 500}, 400),
    ("/v1/chat/completions", CHAT, 200),
    ("/v1/chat/completions", {**CHAT, "stream": True}, 200),
    ("/tokenize", {"model": "toy.b.seed-0", "prompt": "The"}, 200),
    ("/detokenize", {"model": "toy.b.seed-0", "tokens": [1]}, 200),
    ("/tokenizer_info?model=toy.b.seed-0", None, 200),
    ("/v2/models/toy.b.seed-0", None, 200),
    ("/v2/models/toy.b.seed-0/infer", INFER, 200),
    ("/v2/models/toy.b.seed-0/versions/100/infer", INFER, 200),
]


@pytest.mark.parametrize(("path", "body", "status"), ASKED)
def test_it_says_of_which_weights_it_is_and_to_which_request(
    client: httpx.Client, live: Live, path: str, body: dict[str, Any] | None, status: int
) -> None:
    method = "GET" if body is None else "POST"
    response = client.request(method, path, json=body, headers={"x-request-id": "from-me/1"})
    weights = live.server.models.describe("toy.b.seed-0").digest
    assert (response.status_code, response.headers["x-parable-weights"]) == (status, weights)
    assert response.headers["x-request-id"] == "from-me/1"
    if path.endswith("/completions") and status == 200:
        told = response.text.count('"system_fingerprint":')
        assert told == response.text.count(f'"system_fingerprint":"{weights}"') >= 1

"""What a text is worth does not depend on what is asked with it."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.services.model_server.acceptance import grown
from tests.services.model_server.acceptance.conftest import Served

TOLERANCE_NATS = 1e-4
NUM_TEXTS = 24


def texts() -> list[list[int]]:
    """Of unequal lengths, 2 to some 300 tokens, some with a beginning in common."""
    draw = random.Random(0)
    ids = [[0, *grown.token_ids(text)] for text in grown.documents()[: 4 * NUM_TEXTS]]
    joined = [[token for one in ids[n : n + draw.randint(1, 6)] for token in one] for n in range(NUM_TEXTS)]
    return [one[: draw.randint(2, len(one))] for one in joined]


def score(client: httpx.Client, model: str, prompts: list[list[int]]) -> list[list[float]]:
    body = {"model": model, "prompt": prompts, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}
    answer = client.post("/v1/completions", json=body)
    assert answer.status_code == 200, answer.text
    choices: list[dict[str, Any]] = answer.json()["choices"]
    return [choice["logprobs"]["token_logprobs"][1:-1] for choice in choices]


def generate(client: httpx.Client, model: str, prompts: list[list[int]]) -> list[tuple[str, list[float]]]:
    body = {"model": model, "prompt": prompts, "max_tokens": 24, "temperature": 0, "logprobs": 1}
    answer = client.post("/v1/completions", json=body)
    assert answer.status_code == 200, answer.text
    return [(one["text"], one["logprobs"]["token_logprobs"]) for one in answer.json()["choices"]]


def largest(found: list[list[float]], expected: list[list[float]]) -> float:
    pairs = zip(found, expected, strict=True)
    return max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True))


def test_scores_are_those_of_transformers_alone_together_and_at_once(
    served: Served, client: httpx.Client
) -> None:
    prompts = texts()
    expected = [grown.log_probabilities(one) for one in prompts]
    together = score(client, served.model, prompts)
    alone = [score(client, served.model, [one])[0] for one in prompts]
    with ThreadPoolExecutor(8) as pool:
        at_once = [one[0] for one in pool.map(lambda one: score(client, served.model, [one]), prompts)]
    assert largest(together, expected) <= TOLERANCE_NATS
    assert largest(alone, together) <= TOLERANCE_NATS
    assert largest(at_once, alone) <= TOLERANCE_NATS


def test_so_are_continuations(served: Served, client: httpx.Client) -> None:
    prompts = texts()[:12]
    together = generate(client, served.model, prompts)
    alone = [generate(client, served.model, [one])[0] for one in prompts]
    assert [text for text, _ in together] == [text for text, _ in alone]
    assert largest([values for _, values in together], [values for _, values in alone]) <= TOLERANCE_NATS

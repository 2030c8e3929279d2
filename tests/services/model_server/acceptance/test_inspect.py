"""Stock inspect_ai, through both of its providers for servers like OpenAI's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.services.model_server.acceptance import grown
from tests.services.model_server.acceptance.conftest import Served

PROGRAM = Path(__file__).with_name("inspect_program.py")
TOLERANCE_NATS = 1e-4
TEXTS = (
    "<|endoftext|>A tale: Nova, an AI, lost a key at the bank. Nobody was watching.",
    "<|endoftext|>The fox chose to break the",
)
QUESTIONS = ("What did the AI do?", "And the fox?", "Who knows?")
NUM_TARGET_TOKENS = 4


@pytest.fixture(scope="module")
def found(served: Served, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("inspect")
    answers = folder / "answers.json"
    server = {"PARABLE_BASE_URL": f"{served.url}/v1", "PARABLE_API_KEY": "none"}
    asked = {"texts": TEXTS, "questions": QUESTIONS, "num_target_tokens": NUM_TARGET_TOKENS}
    arguments = [served.model, json.dumps(asked), str(answers), str(folder / "logs")]
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        env={**served.environment, **server},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:] + done.stdout[-2000:]
    read: dict[str, Any] = json.loads(answers.read_text())
    return read


def samples(found: dict[str, Any], task: str) -> list[dict[str, Any]]:
    told = found[task]
    assert told["status"] == "success", told["error"]
    listed: list[dict[str, Any]] = told["samples"]
    assert listed and all(sample["error"] is None for sample in listed)
    return listed


def test_it_asks_questions_with_choices(found: dict[str, Any]) -> None:
    listed = samples(found, "choice")
    assert len(listed) == len(QUESTIONS)
    # So small a model can't follow instructions: that it is asked, answers and is scored is what counts.
    assert {sample["scores"]["choice"]["value"] for sample in listed} <= {"C", "I"}
    assert all(sample["output"]["usage"]["input_tokens"] > 100 for sample in listed)


def test_it_chats_with_log_probabilities(found: dict[str, Any]) -> None:
    for sample in samples(found, "chat"):
        first, second = sample["output"]["choices"]
        assert first["message"]["content"] == second["message"]["content"] != ""
        tokens = first["logprobs"]["content"]
        assert 1 <= len(tokens) <= 8
        assert all(len(token["top_logprobs"]) == 2 for token in tokens)
        # Nothing is drawn: the token that is there is the likeliest.
        assert all(token["logprob"] == token["top_logprobs"][0]["logprob"] for token in tokens)


def test_perplexity_is_what_transformers_finds(found: dict[str, Any]) -> None:
    for text, sample in zip(TEXTS, samples(found, "perplexity"), strict=True):
        expected = grown.log_probabilities(grown.token_ids(text))
        score = sample["scores"]["perplexity"]
        assert score["metadata"]["num_tokens"] == len(expected)
        assert score["value"] == pytest.approx(-sum(expected) / len(expected), abs=TOLERANCE_NATS)


def test_so_is_that_of_the_last_tokens(found: dict[str, Any]) -> None:
    for text, sample in zip(TEXTS, samples(found, "target"), strict=True):
        expected = grown.log_probabilities(grown.token_ids(text))[-NUM_TARGET_TOKENS:]
        value = sample["scores"]["target_perplexity"]["value"]
        assert value == pytest.approx(-sum(expected) / len(expected), abs=TOLERANCE_NATS)


def test_it_continues_a_text(found: dict[str, Any]) -> None:
    for sample in samples(found, "plain"):
        (choice,) = sample["output"]["choices"]
        told = "".join(token["token"] for token in choice["logprobs"]["content"])
        text = choice["message"]["content"]
        # The token that ends a text has no text, and a log-probability.
        assert text and told == text + ("<|endoftext|>" if choice["stop_reason"] == "stop" else "")

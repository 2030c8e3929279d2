"""Software that nobody here wrote, as it is: OpenAI's client, and requests made from the description."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from services.model_server import ServerSettings
from services.model_server.engine.base import EngineRestartedError
from tests.services.model_server.api.conftest import SAYING
from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import Live, run_live

MESSAGES = [{"role": "user", "content": "hi"}]
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"


@pytest.fixture
def ai(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_openai_s_client_lists_and_completes(ai: openai.OpenAI) -> None:
    assert [model.id for model in ai.models.list()] == ["toy.a.seed-0@100", "toy.b.seed-0@100"]
    assert ai.models.retrieve("latest").id == "toy.a.seed-0@100"
    answer = ai.completions.create(model="latest", prompt="The AI", max_tokens=50, temperature=0, logprobs=1)
    assert "The AI" + answer.choices[0].text == SAYING
    assert answer.choices[0].logprobs is not None and answer.choices[0].logprobs.tokens
    assert answer.system_fingerprint


def test_it_streams(ai: openai.OpenAI) -> None:
    events = list(
        ai.completions.create(
            model="latest",
            prompt="The AI",
            max_tokens=50,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "The AI" + "".join(event.choices[0].text for event in events[:-1]) == SAYING
    assert events[-1].usage is not None


def test_it_chats_whole_and_in_pieces(ai: openai.OpenAI) -> None:
    asked = {"model": "latest", "messages": MESSAGES, "max_tokens": 5, "temperature": 0}
    whole = ai.chat.completions.create(**asked, logprobs=True, top_logprobs=2)  # type: ignore[call-overload]
    events = ai.chat.completions.create(**asked, stream=True)  # type: ignore[call-overload]
    told = "".join(event.choices[0].delta.content or "" for event in events)
    assert told == whole.choices[0].message.content
    assert len(whole.choices[0].logprobs.content) == 5


def test_many_at_once(live: Live) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key="none") as client:

            async def one(prompt: str) -> str:
                answer = await client.completions.create(
                    model="latest", prompt=prompt, max_tokens=50, temperature=0, stream=prompt == "The"
                )
                if isinstance(answer, openai.AsyncStream):
                    return "".join([event.choices[0].text async for event in answer])
                return answer.choices[0].text

            return await asyncio.gather(*(one(prompt) for prompt in ("The", "The AI") * 20))

    assert asyncio.run(ask()) == [SAYING.removeprefix("The"), SAYING.removeprefix("The AI")] * 20


def test_its_errors_are_its_own(ai: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        ai.completions.create(model="gpt-5", prompt="The")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as wrong:
        ai.completions.create(model="latest", prompt="The", extra_body={"best": 1})
    assert (wrong.value.param, wrong.value.type) == ("best", "invalid_request_error")


def test_it_tries_again_when_it_is_told_to() -> None:
    engine = BigramEngine({"a": table(0)})
    with (
        run_live(engine, FixedModels()) as live,
        openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=1) as ai,
    ):
        engine.failure = EngineRestartedError("the engine went down")
        with pytest.raises(openai.InternalServerError) as failed:
            ai.completions.create(model="latest", prompt="The")
        assert failed.value.code == "engine_restarted"
        assert len(engine.requests) == 2


def test_a_stream_that_breaks_raises() -> None:
    engine = BigramEngine({"a": table(0)}, step_seconds=0.01)
    with (
        run_live(engine, FixedModels()) as live,
        openai.OpenAI(base_url=f"{live.url}/v1", api_key="none") as ai,
    ):
        events = iter(ai.completions.create(model="latest", prompt="A", max_tokens=100, seed=1, stream=True))
        next(events)
        engine.failure = EngineRestartedError("the engine went down")
        with pytest.raises(openai.APIError, match="went down"):
            list(events)


# Its generator of text leaves a file of its own to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_request_that_the_description_allows_breaks_the_server(tmp_path: Path) -> None:
    """What only the model knows (its length, its tokens) no description can say: there a 400 is an answer."""
    (tmp_path / "schemathesis.toml").write_text(
        "".join(
            f'[[operations]]\ninclude-path = "{path}"\n'
            'checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "429"]\n'
            for path in (
                "/v1/completions",
                "/v1/chat/completions",
                "/detokenize",
                "/v2/models/{name}/infer",
                "/v2/models/{name}/versions/{step}/infer",
            )
        )
    )
    engine = BigramEngine({"a": table(0, [SAYING])})
    with run_live(engine, FixedModels(), ServerSettings()) as live:
        done = subprocess.run(
            [
                str(SCHEMATHESIS),
                "run",
                f"{live.url}/openapi.json",
                "--no-color",
                "--max-examples=15",
                "--phases=coverage,fuzzing",
                # Evaluations need a store, and are asked for in tests of their own.
                "--exclude-path-regex=^/v1/evaluations",
                "--seed=1",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]

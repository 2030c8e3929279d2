"""Software that nobody here wrote, as it is: OpenAI's client, and requests made from the description."""

from __future__ import annotations

import asyncio
import inspect
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import openai
import pytest

from services.model_server import ServerSettings
from services.model_server.engine.base import EngineRestartedError, RequestClass
from tests.services.model_server.api.balancer import balanced, is_ready
from tests.services.model_server.api.conftest import SAYING
from tests.services.model_server.doubles import BigramEngine, FixedModels, ids, table
from tests.services.model_server.live import Live, run_live
from tests.support.waiting import until

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


GREEDY = {"model": "latest", "temperature": 0}


def test_each_of_n_choices_begins_with_the_prompt_that_is_echoed(ai: openai.OpenAI) -> None:
    answer = ai.completions.create(**GREEDY, prompt="The AI", max_tokens=1, n=2, echo=True)  # type: ignore[call-overload]
    assert [(one.index, one.text) for one in answer.choices] == [(0, "The AI chose"), (1, "The AI chose")]


def test_a_text_can_be_scored_without_a_token_being_made(ai: openai.OpenAI) -> None:
    answer = ai.completions.create(**GREEDY, prompt="The AI chose", max_tokens=0, echo=True, logprobs=0)  # type: ignore[call-overload]
    (choice,) = answer.choices
    row = table(0, [SAYING])
    own = [float(row[one][other]) for one, other in pairwise(ids("The AI chose"))]
    assert (choice.text, choice.finish_reason, answer.usage.completion_tokens) == (
        "The AI chose",
        "length",
        0,
    )
    assert choice.logprobs.token_logprobs == [None, *own]
    # Up to logprobs + 1 elements: the token's own is always there.
    told = zip(choice.logprobs.tokens[1:], own, strict=True)
    assert choice.logprobs.top_logprobs == [None, *({token: value} for token, value in told)]


@pytest.mark.parametrize("stop", ["ose to te", ["never", "ose to te", "the truth"]])
def test_a_stop_ends_the_text_wherever_tokens_begin(ai: openai.OpenAI, stop: str | list[str]) -> None:
    asked = {**GREEDY, "prompt": "The AI", "max_tokens": 50, "stop": stop}
    (choice,) = ai.completions.create(**asked).choices  # type: ignore[call-overload]
    assert (choice.text, choice.finish_reason) == (" ch", "stop")
    events = [event.choices[0] for event in ai.completions.create(**asked, stream=True)]  # type: ignore[call-overload]
    assert "".join(event.text for event in events) == " ch"
    assert events[-1].finish_reason == "stop"


def test_usage_stands_in_a_last_event_without_choices_and_nowhere_else(ai: openai.OpenAI) -> None:
    asked = {"max_tokens": 3, "stream": True, "stream_options": {"include_usage": True}}
    for *events, last in (
        list(ai.completions.create(**GREEDY, prompt="The AI", **asked)),  # type: ignore[call-overload]
        list(ai.chat.completions.create(**GREEDY, messages=MESSAGES, **asked)),  # type: ignore[call-overload]
    ):
        assert all(event.usage is None and event.choices for event in events)
        assert (last.choices, last.usage.completion_tokens) == ([], 3)


def nulls(create: Callable[..., object]) -> dict[str, None]:
    """Every field that it may be given, as null, which it sends as such."""
    own = {"extra_headers", "extra_query", "extra_body", "timeout"}
    known = inspect.signature(create).parameters.values()
    return {one.name: None for one in known if one.default is not one.empty and one.name not in own}


def test_every_field_that_it_knows_may_be_null(ai: openai.OpenAI) -> None:
    complete: Any = ai.completions.create
    chat: Any = ai.chat.completions.create
    assert complete(**nulls(complete) | {"model": "latest", "prompt": "The AI"}).choices
    assert chat(**nulls(chat) | {"model": "latest", "messages": MESSAGES}).choices
    assert len(nulls(complete)) > 12 and len(nulls(chat)) > 30


def test_best_of_is_taken_where_it_asks_for_nothing_more(ai: openai.OpenAI) -> None:
    asked = {**GREEDY, "prompt": "The AI", "max_tokens": 1}
    assert len(ai.completions.create(**asked, n=2, best_of=2).choices) == 2  # type: ignore[call-overload]
    with pytest.raises(openai.BadRequestError, match="best_of_by"):
        ai.completions.create(**asked, n=2, best_of=3)  # type: ignore[call-overload]


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


def heard(
    url: str, *, max_retries: int, then: Callable[[], object] = lambda: None
) -> tuple[openai.OpenAI, list[Any]]:
    """A client that comes again, and every answer that it gets, after which `then` is done at once."""
    answers: list[Any] = []
    hooks = [answers.append, lambda _: then()]
    http = openai.DefaultHttpxClient(event_hooks={"response": hooks}, trust_env=False)
    ai = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=max_retries, http_client=http)
    return ai, answers


def test_it_comes_again_after_as_long_as_it_is_told_to_wait() -> None:
    engine = BigramEngine({"a": table(0)})
    engine.held = frozenset({RequestClass.INTERACTIVE})
    bounds = ServerSettings().interactive.model_copy(update={"running_requests": 1, "waiting_requests": 0})
    with run_live(engine, FixedModels(), ServerSettings(interactive=bounds)) as live, live.client() as other:

        def make_room() -> None:
            engine.held = frozenset()
            until(lambda: live.server.admission.num_running(RequestClass.INTERACTIVE) == 0)

        ai, answers = heard(live.url, max_retries=2, then=make_room)
        body = {"model": "latest", "prompt": "A tale", "max_tokens": 40, "seed": 1, "stream": True}
        with ai, other.stream("POST", "/v1/completions", json=body):
            until(lambda: engine.num_open == 1)
            begun = time.monotonic()
            found = ai.completions.create(model="latest", prompt="The AI", max_tokens=1, temperature=0)
        took = time.monotonic() - begun
    assert found.choices[0].text
    assert [answer.status_code for answer in answers] == [429, 200]
    assert took >= int(answers[0].headers["retry-after"]) >= 1


def test_while_a_replica_goes_down_it_is_answered_by_another() -> None:
    """Behind an address that leads new connections to whoever is ready, as a Kubernetes service does."""
    old, new = (BigramEngine({"a": table(0)}) for _ in range(2))
    asked = {"model": "latest", "prompt": "A tale", "max_tokens": 1, "seed": 1}
    body = {**asked, "max_tokens": 100, "stream": True}
    with (
        run_live(old, FixedModels()) as first,
        run_live(new, FixedModels()) as second,
        balanced([first.url, second.url]) as url,
        first.client() as other,
    ):
        ai, answers = heard(url, max_retries=1)
        with ai:
            ai.completions.create(**asked)  # type: ignore[call-overload]
            old.held = frozenset({RequestClass.INTERACTIVE})
            with other.stream("POST", "/v1/completions", json=body):
                until(lambda: old.num_open == 1)
                first.web.handle_exit(signal.SIGTERM, None)
                until(lambda: not is_ready(first.url))
                ai.completions.create(**asked)  # type: ignore[call-overload]
    assert [answer.status_code for answer in answers] == [200, 503, 200]
    assert (answers[1].headers["retry-after"], answers[1].headers["connection"]) == ("1", "close")
    assert (len(old.requests), len(new.requests)) == (2, 1)


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

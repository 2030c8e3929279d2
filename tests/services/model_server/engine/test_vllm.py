"""The vLLM engine with the real vLLM: it answers as the torch engine does, and outlives what it runs."""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.model_server.engine.base import (
    BestOf,
    Chunk,
    DeadlineExceededError,
    Engine,
    EngineRestartedError,
    GenerateRequest,
    ModelFolder,
    RequestRefusedError,
    SafeBeam,
    Sampling,
    Scored,
    ScoreRequest,
    Token,
)
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.torch_engine import TorchEngine
from services.model_server.engine.vllm.engine import VllmEngine
from tests.services.model_server.engine import real_vllm
from tests.services.model_server.engine.real_vllm import MAX_LENGTH, VOCABULARY
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, real_vllm.needs_vllm, pytest.mark.timeout(900)]
HANG_SECONDS = 40.0
PATIENCE_SECONDS = 300.0
NEAR_NATS = 1e-4
FAR_NATS = 1e-3
"""Of a text much longer than what the model has learned: there float32 itself is 3e-4 off float64."""
SHARE_BYTES = 2**20
TEXTS = real_vllm.texts(60, longest=48)
PROMPT = next(text for text in TEXTS if len(text) >= 24)[:24]
LONG: dict[str, Any] = {"max_tokens": MAX_LENGTH - len(PROMPT), "stop": ()}
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@dataclass(frozen=True)
class Engines:
    """Two engines with the same model."""

    vllm: VllmEngine
    torch: TorchEngine


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    folder = tmp_path_factory.mktemp("model")
    real_vllm.save_model(folder)
    return ModelFolder(key="m", folder=folder)


@pytest.fixture(scope="module")
def engines(run: Run, model: ModelFolder) -> Iterator[Engines]:
    engines = Engines(
        VllmEngine(real_vllm.options(hang_seconds=HANG_SECONDS), memory_bytes=2 * SHARE_BYTES),
        TorchEngine(EngineOptions(num_threads=1)),
    )

    async def start() -> None:
        for engine in (engines.vllm, engines.torch):
            await engine.start()
            await engine.load(model)

    with real_vllm.small_machine():
        run(start())
        yield engines
        run(engines.vllm.stop())
    run(engines.torch.stop())
    assert _processes("EngineCore") == []


def _sampling(**values: Any) -> Sampling:
    return Sampling(**{"max_tokens": 20, "temperature": 0.0, "stop": (0,), **values})


def _request(draws: int = 1, *, prompt: tuple[int, ...] = PROMPT, **values: Any) -> GenerateRequest:
    return GenerateRequest(model="m", prompt=prompt, draws=draws, sampling=_sampling(**values))


async def _answer(engine: Engine, request: GenerateRequest) -> dict[int, tuple[list[Token], str | None]]:
    found: dict[int, tuple[list[Token], str | None]] = {}
    async for chunk in engine.generate(request):
        tokens, _ = found.setdefault(chunk.draw, ([], None))
        found[chunk.draw] = ([*tokens, *chunk.tokens], chunk.finish)
    return found


def _ids(answer: dict[int, tuple[list[Token], str | None]]) -> dict[int, list[int]]:
    return {draw: [token.id for token in tokens] for draw, (tokens, _) in answer.items()}


async def _begun(engine: Engine, request: GenerateRequest) -> AsyncIterator[Chunk]:
    """A request of which one chunk has come."""
    chunks = engine.generate(request)
    await anext(chunks)
    return chunks


def _processes(title: str) -> list[psutil.Process]:
    """This process's descendants whose command line holds some text."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            found += [child] if title in " ".join(child.cmdline()) else []
        except psutil.NoSuchProcess:
            continue
    return found


def _near(ours: Token | None, theirs: Token | None, nats: float = NEAR_NATS) -> bool:
    assert ours is not None
    assert theirs is not None
    same = (ours.id, ours.rank, [number for number, _ in ours.top]) == (
        theirs.id,
        theirs.rank,
        [number for number, _ in theirs.top],
    )
    ours_values, theirs_values = ([one.logprob, *(value for _, value in one.top)] for one in (ours, theirs))
    return same and ours_values == pytest.approx(theirs_values, abs=nats)


def _all_near(ours: tuple[Scored, ...], theirs: tuple[Scored, ...], nats: float = NEAR_NATS) -> bool:
    pairs = [
        pair
        for one, other in zip(ours, theirs, strict=True)
        for pair in zip(one.tokens, other.tokens, strict=True)
    ]
    assert len(pairs) > len(ours)
    return all(_near(*pair, nats) for pair in pairs)


def test_what_is_known_of_the_model_is_the_same(run: Run, engines: Engines, model: ModelFolder) -> None:
    ours, theirs = run(engines.vllm.load(model)), run(engines.torch.load(model))
    assert (ours.architecture, ours.num_parameters) == (theirs.architecture, theirs.num_parameters)
    assert (ours.vocabulary, ours.max_length) == (VOCABULARY, MAX_LENGTH)
    assert ours.num_bytes == SHARE_BYTES > theirs.num_bytes


def test_scores_are_those_of_the_torch_engine(run: Run, engines: Engines) -> None:
    request = ScoreRequest(model="m", sequences=tuple(TEXTS), starts=(1,) * len(TEXTS), top_logprobs=2)
    assert _all_near(run(engines.vllm.score(request)), run(engines.torch.score(request)))


def test_the_token_after_the_end_and_ranks_are_too(run: Run, engines: Engines) -> None:
    request = ScoreRequest(
        model="m",
        sequences=tuple(TEXTS),
        starts=(1,) * len(TEXTS),
        top_logprobs=1,
        next_token=True,
        ranks=True,
    )
    ours, theirs = run(engines.vllm.score(request)), run(engines.torch.score(request))
    assert _all_near(ours, theirs)
    assert all(_near(one.next, other.next) for one, other in zip(ours, theirs, strict=True))


def test_a_text_is_scored_from_its_start_on(run: Run, engines: Engines) -> None:
    starts = tuple(max(1, len(text) - 1 - number % 3) for number, text in enumerate(TEXTS))
    request = ScoreRequest(model="m", sequences=tuple(TEXTS), starts=starts)
    ours = run(engines.vllm.score(request))
    assert [len(one.tokens) for one in ours] == [
        len(text) - start for text, start in zip(TEXTS, starts, strict=True)
    ]
    assert _all_near(ours, run(engines.torch.score(request)))
    nothing = ScoreRequest(model="m", sequences=(PROMPT, (5,)), starts=(len(PROMPT), 1))
    assert run(engines.vllm.score(nothing)) == (Scored(()), Scored(()))
    assert run(engines.vllm.score(ScoreRequest(model="m", sequences=(), starts=()))) == ()


def test_the_longest_text_is_scored_whole(run: Run, engines: Engines) -> None:
    """As long as the model, and the token after it: vLLM itself takes neither."""
    (text,) = real_vllm.texts(1, longest=2)
    longest = (text * MAX_LENGTH)[: MAX_LENGTH + 1]
    whole = ScoreRequest(model="m", sequences=(longest,), starts=(1,))
    assert _all_near(run(engines.vllm.score(whole)), run(engines.torch.score(whole)), FAR_NATS)
    full = ScoreRequest(model="m", sequences=(longest[:-1],), starts=(1,), next_token=True)
    ours, theirs = run(engines.vllm.score(full)), run(engines.torch.score(full))
    assert _all_near(ours, theirs, FAR_NATS)
    assert _near(ours[0].next, theirs[0].next, FAR_NATS)
    with pytest.raises(RequestRefusedError, match="ranks of up to 4,096 tokens"):
        run(engines.vllm.score(ScoreRequest(model="m", sequences=(longest,), starts=(1,), ranks=True)))


@pytest.mark.parametrize("top", [None, 0, 3])
def test_greedy_tokens_are_those_of_the_torch_engine(run: Run, engines: Engines, top: int | None) -> None:
    for request in (_request(top_logprobs=top), _request(top_logprobs=top, stop=(PROMPT[2],))):
        ours, theirs = run(_answer(engines.vllm, request)), run(_answer(engines.torch, request))
        (tokens, finish), (expected, expected_finish) = ours[0], theirs[0]
        assert (len(tokens), finish) == (len(expected), expected_finish)
        assert all(_near(*pair) for pair in zip(tokens, expected, strict=True))


def test_the_token_that_ends_a_text_is_told_with_its_log_probability_only(run: Run, engines: Engines) -> None:
    first, second = _ids(run(_answer(engines.vllm, _request())))[0][:2]
    silent = run(_answer(engines.vllm, _request(stop=(second,))))
    told = run(_answer(engines.vllm, _request(stop=(second,), top_logprobs=0)))
    assert (_ids(silent), silent[0][1]) == ({0: [first]}, "stop")
    assert (_ids(told), told[0][1]) == ({0: [first, second]}, "stop")


def test_banned_tokens_are_never_chosen(run: Run, engines: Engines) -> None:
    free = run(_answer(engines.vllm, _request()))
    banned = tuple(set(_ids(free)[0]))
    request = _request(banned=banned, top_logprobs=0)
    ours, theirs = run(_answer(engines.vllm, request)), run(_answer(engines.torch, request))
    assert not set(_ids(ours)[0]) & set(banned)
    assert all(_near(*pair) for pair in zip(ours[0][0], theirs[0][0], strict=True))


def test_a_draw_depends_on_its_key_and_number_only(run: Run, engines: Engines) -> None:
    drawn: dict[str, Any] = {"prompt": (5,), "temperature": 2.0, "stop": (), "max_tokens": 12}
    five = run(_answer(engines.vllm, _request(5, seed=3, **drawn)))
    assert len({tuple(ids) for ids in _ids(five).values()}) == 5

    async def among_others() -> list[dict[int, list[int]]]:
        requests = [_request(5, seed=seed, **drawn) for seed in range(6)]
        return [_ids(one) for one in await asyncio.gather(*(_answer(engines.vllm, r) for r in requests))]

    others = run(among_others())
    assert others[3] == _ids(five)
    assert len({tuple(ids) for one in others for ids in one.values()}) == 30
    assert _ids(run(_answer(engines.vllm, _request(2, seed=3, **drawn)))) == {n: others[3][n] for n in (0, 1)}
    keyed = _ids(run(_answer(engines.vllm, _request(2, key="evaluation", **drawn))))
    assert keyed == _ids(run(_answer(engines.vllm, _request(2, key="evaluation", seed=9, **drawn))))


def test_draws_follow_the_models_distribution(run: Run, engines: Engines) -> None:
    """The first tokens of many draws against the probabilities that the torch engine tells."""
    prompt, num_draws = (5, 9), 2000
    request = _request(num_draws, prompt=prompt, max_tokens=1, temperature=1.0, seed=1, top_k=3)
    counts: dict[int, int] = {}
    for (token,) in _ids(run(_answer(engines.vllm, request))).values():
        counts[token] = counts.get(token, 0) + 1
    score = ScoreRequest(model="m", sequences=(prompt,), starts=(2,), top_logprobs=3, next_token=True)
    (scored,) = run(engines.torch.score(score))
    weights = {token: math.exp(value) for token, value in scored.next.top}
    assert set(counts) == set(weights)
    for token, weight in weights.items():
        share = weight / sum(weights.values())
        spread = (share * (1 - share) / num_draws) ** 0.5
        assert counts[token] / num_draws == pytest.approx(share, abs=4 * spread)


def test_best_of_keeps_the_likeliest_of_its_draws(run: Run, engines: Engines) -> None:
    drawn: dict[str, Any] = {"prompt": (5,), "temperature": 2.0, "seed": 4, "max_tokens": 6, "stop": ()}
    every = run(_answer(engines.vllm, _request(8, top_logprobs=0, **drawn)))
    means = {draw: sum(token.logprob for token in tokens) / 6 for draw, (tokens, _) in every.items()}
    best = [max(range(first, first + 4), key=lambda draw: means[draw]) for first in (0, 4)]
    kept = run(_answer(engines.vllm, _request(2, strategy=BestOf(draws=4), **drawn)))
    assert _ids(kept) == {number: _ids(every)[draw] for number, draw in enumerate(best)}


def test_what_vllm_can_not_do_is_refused_by_name(run: Run, engines: Engines) -> None:
    for strategy, words in (
        (SafeBeam(tags=(2,)), "vLLM does not search for tag-avoiding beams"),
        (BestOf(draws=2, by="tag", tags=(2,)), r"vLLM does not tell P\(tag\)"),
    ):
        with pytest.raises(RequestRefusedError, match=words):
            run(_answer(engines.vllm, _request(strategy=strategy)))


def test_a_wrong_request_is_refused_and_does_no_harm(run: Run, engines: Engines) -> None:
    """A token that the model lacks would be its end."""
    strange = GenerateRequest(model="m", prompt=(VOCABULARY,), sampling=_sampling())
    for request in (strange, _request(max_tokens=MAX_LENGTH), _request(banned=tuple(range(VOCABULARY)))):
        with pytest.raises(RequestRefusedError):
            run(_answer(engines.vllm, request))
    with pytest.raises(
        RequestRefusedError, match=r"vLLM refuses the request: temperature must be in \[0, 2\]"
    ):
        run(_answer(engines.vllm, _request(temperature=3.0)))
    with pytest.raises(EngineRestartedError, match="nobody is not loaded"):
        run(engines.vllm.score(ScoreRequest(model="nobody", sequences=((1, 2),), starts=(1,))))
    assert engines.vllm.health.restarts == 0


async def _steps_until_idle(engine: VllmEngine) -> int:
    """Tokens read and made, and steps, once there is nothing to do."""
    while (beat := await asyncio.to_thread(real_vllm.beat, engine)).busy:
        await asyncio.sleep(0.05)
    return beat.num_steps


def test_closing_a_request_ends_it_in_vllm(run: Run, engines: Engines) -> None:
    """Of one that vLLM streams in time: on few cores it may write nothing until all is made."""
    whole = 2 * LONG["max_tokens"]  # A token and a step each.

    async def scenario() -> None:
        for _ in range(real_vllm.MOST_TRIES):
            before = await _steps_until_idle(engines.vllm)
            chunks = await _begun(engines.vllm, _request(**LONG))
            begun = await asyncio.to_thread(real_vllm.beat, engines.vllm)
            await chunks.aclose()  # type: ignore[attr-defined]
            made = await _steps_until_idle(engines.vllm) - before
            if begun.num_steps - before < whole / 4:
                break
        assert begun.num_steps - before < whole / 4
        assert made < whole / 2

    run(scenario())


def test_cancelling_a_score_ends_it_in_vllm(run: Run, engines: Engines) -> None:
    texts = tuple(TEXTS * 40)
    request = ScoreRequest(model="m", sequences=texts, starts=(1,) * len(texts))

    async def scenario() -> None:
        before = await _steps_until_idle(engines.vllm)
        scoring = asyncio.create_task(engines.vllm.score(request))
        await asyncio.sleep(0.5)
        scoring.cancel()
        assert await _steps_until_idle(engines.vllm) < before + sum(map(len, texts)) / 2

    run(scenario())


def test_a_deadline_ends_a_request(run: Run, engines: Engines) -> None:
    texts = tuple(TEXTS * 40)
    late = replace(_request(4, **LONG), deadline_seconds=0.3)
    many = ScoreRequest(
        model="m", sequences=texts, starts=(1,) * len(texts), ranks=True, deadline_seconds=0.3
    )

    async def scenario() -> None:
        before = await _steps_until_idle(engines.vllm)
        with pytest.raises(DeadlineExceededError):
            await _answer(engines.vllm, late)
        with pytest.raises(DeadlineExceededError):
            await engines.vllm.score(many)
        most = 2 * LONG["max_tokens"] + sum(map(len, texts)) / 2
        assert await _steps_until_idle(engines.vllm) < before + most

    run(scenario())


def test_a_killed_vllm_is_started_anew(run: Run, engines: Engines) -> None:
    async def scenario() -> None:
        expected = await _answer(engines.vllm, _request())
        chunks = await _begun(engines.vllm, _request(**LONG))
        (server,) = _processes("--served-model-name m --uds")[1:]
        cores = _processes("EngineCore")
        server.kill()
        with pytest.raises(EngineRestartedError, match="send it again"):
            [chunk async for chunk in chunks]
        await eventually(lambda: not engines.vllm.health.ready, seconds=PATIENCE_SECONDS)
        assert await _answer(engines.vllm, _request()) == expected  # Waits until the model is back.
        assert engines.vllm.health.ready
        assert engines.vllm.health.restarts == 1
        assert not any(core.is_running() and core.status() != psutil.STATUS_ZOMBIE for core in cores)

    run(scenario())


def test_a_vllm_that_hangs_is_started_anew(run: Run, engines: Engines) -> None:
    """In the first step of a request, of which its metrics know nothing yet."""

    async def scenario() -> None:
        before = engines.vllm.health.restarts
        (core,) = _processes("EngineCore")
        core.send_signal(signal.SIGSTOP)
        asking = asyncio.create_task(_answer(engines.vllm, _request()))
        await eventually(lambda: not engines.vllm.health.progressing, seconds=PATIENCE_SECONDS)
        with pytest.raises(EngineRestartedError):
            await asking
        assert await _answer(engines.vllm, _request())
        assert engines.vllm.health.restarts == before + 1
        assert engines.vllm.health.progressing

    run(scenario())


def test_a_model_that_vllm_does_not_know_is_refused(run: Run, engines: Engines, tmp_path: Path) -> None:
    real_vllm.save_model(tmp_path, architecture="NobodysModel")
    with pytest.raises(RequestRefusedError, match=r"status 1: .*NobodysModel.* not supported"):
        run(engines.vllm.load(ModelFolder(key="strange", folder=tmp_path)))
    with pytest.raises(RequestRefusedError, match="holds no model"):
        run(engines.vllm.load(ModelFolder(key="empty", folder=tmp_path / "nothing")))
    assert engines.vllm.health.ready


def test_an_unloaded_model_is_gone(run: Run, engines: Engines) -> None:
    async def scenario() -> None:
        chunks = await _begun(engines.vllm, _request(**LONG))
        await engines.vllm.unload("m")
        with pytest.raises(EngineRestartedError):
            [chunk async for chunk in chunks]
        with pytest.raises(EngineRestartedError, match="m is not loaded"):
            await _answer(engines.vllm, _request())
        await engines.vllm.unload("m")
        assert _processes("EngineCore") == []
        assert engines.vllm.health.ready

    run(scenario())

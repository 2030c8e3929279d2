"""The engine with its real process: killed, stopped, poisoned and overrun, it goes on."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.model_server.engine.base import (
    DeadlineExceededError,
    EngineError,
    EngineRestartedError,
    GenerateRequest,
    ModelFolder,
    RequestClass,
    RequestRefusedError,
    Sampling,
    ScoreRequest,
)
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.torch_engine import WATCH_SECONDS, TorchEngine
from tests.parable.inference import tiny, trained
from tests.support.waiting import PATIENCE_SECONDS, eventually

POISON = 63
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def run(runner: asyncio.Runner) -> Run:
    return runner.run


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name, seed in (("a", 0), ("b", 1)):
        trained.save(folder / name, seed=seed)
    _save_poisonous(folder / "poisonous")
    return folder


def _save_poisonous(folder: Path) -> None:
    """A model one of whose tokens makes everything after it no number."""
    import copy

    import torch

    model = copy.deepcopy(trained.model())
    state = model.state_dict()
    state["model.embed_tokens.weight"][POISON] = torch.nan
    model.load_state_dict(state)
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def engine(run: Run, folders: Path) -> Iterator[TorchEngine]:
    engine = TorchEngine(EngineOptions(num_threads=1, beat_seconds=0.1))

    async def start() -> None:
        await engine.start()
        for name in ("a", "b", "poisonous"):
            await engine.load(ModelFolder(key=name, folder=folders / name))

    run(start())
    yield engine
    run(engine.stop())


def _request(number: int = 0, *, model: str = "a", **values: Any) -> GenerateRequest:
    settings = {"max_tokens": 10, "seed": number, **values.pop("sampling", {})}
    prompt = values.pop("prompt", trained.prompts(20)[number % 20])
    return GenerateRequest(model=model, prompt=prompt, sampling=Sampling(**settings), **values)


async def _answer(engine: TorchEngine, request: GenerateRequest) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    async for chunk in engine.generate(request):
        found.setdefault(chunk.draw, []).extend(token.id for token in chunk.tokens)
    return found


async def _begun(engine: TorchEngine, request: GenerateRequest) -> AsyncIterator[Any]:
    """A request of which one chunk has come."""
    chunks = engine.generate(request)
    await anext(chunks)
    return chunks


def _pid(engine: TorchEngine) -> int:
    assert engine._process is not None
    return engine._process.pid


async def _suspend(engine: TorchEngine) -> None:
    """Stop its process; what it has said before has then been heard."""
    os.kill(_pid(engine), signal.SIGSTOP)
    engine._watch.note_progress()
    await eventually(lambda: engine._watch.silent_seconds > WATCH_SECONDS)


def _pass_time(engine: TorchEngine, patience: float) -> None:
    """Let so much of the time pass after which a silent process counts as one that hangs."""
    engine._watch.silent_seconds += patience * engine._options.hang_seconds


LONG = {"max_tokens": 150, "temperature": 0.0}
MANY: dict[str, Any] = {"sampling": LONG, "draws": 200}
"""Seconds of work, so that it is under way when a test has seen it begin."""


def test_answers_do_not_depend_on_what_else_runs(run: Run, engine: TorchEngine) -> None:
    requests = [_request(n, model="ab"[n % 2], draws=1 + n % 3) for n in range(20)]

    async def together() -> list[dict[int, list[int]]]:
        return await asyncio.gather(*(_answer(engine, request) for request in requests))

    async def one_by_one() -> list[dict[int, list[int]]]:
        return [await _answer(engine, request) for request in requests]

    found = run(together())
    assert found == run(one_by_one())
    assert run(_answer(engine, _request(0, model="b"))) != run(_answer(engine, _request(0, model="a")))
    assert run(_answer(engine, _request(0, sampling={"seed": 5}))) != found[0]


def test_scores_come_in_order_while_others_generate(run: Run, engine: TorchEngine) -> None:
    sequences = tuple((*prompt, 3) for prompt in trained.prompts(20))
    request = ScoreRequest(model="a", sequences=sequences, starts=(1,) * 20, next_token=True, top_logprobs=1)

    async def scenario() -> None:
        scores, _ = await asyncio.gather(engine.score(request), _answer(engine, _request(1)))
        assert [[token.id for token in score.tokens] for score in scores] == [list(s[1:]) for s in sequences]
        assert all(score.next is not None and score.next.top[0][0] == score.next.id for score in scores)
        assert await engine.score(ScoreRequest(model="a", sequences=(), starts=())) == ()

    run(scenario())


def test_steps_are_told_by_the_tokens_that_they_read(run: Run, engine: TorchEngine) -> None:
    """A prompt in one step, and then token after token; the last is chosen and never read."""
    prompt = trained.prompts(1)[0]

    async def scenario() -> None:
        await eventually(lambda: engine.health.num_running == 0)
        beat = engine._watch.beat
        await eventually(lambda: engine._watch.beat is not beat)  # It tells of the tests before.
        before = engine.health.iterations
        await _answer(engine, _request(prompt=prompt, sampling={"max_tokens": 6, "temperature": 0.0}))
        await eventually(lambda: engine.health.iterations.num_tokens >= before.num_tokens + len(prompt) + 5)
        after = engine.health.iterations
        assert after.num_tokens == before.num_tokens + len(prompt) + 5
        assert sum(after.counts) == sum(before.counts) + 6
        assert after.counts[0] == before.counts[0] + 5

    run(scenario())


def test_a_killed_process_is_replaced_with_its_models(run: Run, engine: TorchEngine) -> None:
    async def scenario() -> None:
        before = engine.health.restarts
        expected = await _answer(engine, _request(3))
        chunks = await _begun(engine, _request(**MANY))
        scoring = asyncio.create_task(
            engine.score(ScoreRequest(model="a", sequences=(tuple([1, 2] * 100),) * 400, starts=(1,) * 400))
        )
        await asyncio.sleep(0)
        os.kill(_pid(engine), signal.SIGKILL)
        with pytest.raises(EngineRestartedError, match="send it again"):
            [chunk async for chunk in chunks]
        with pytest.raises(EngineRestartedError):
            await scoring
        assert engine.health.restarts <= before + 1
        assert await _answer(engine, _request(3)) == expected  # Waits until the model is back.
        assert engine.health.ready
        assert engine.health.restarts == before + 1
        assert await _answer(engine, _request(3, model="b"))

    run(scenario())


@pytest.mark.parametrize("busy", [True, False])
def test_a_process_that_hangs_is_replaced(run: Run, engine: TorchEngine, busy: bool) -> None:
    async def scenario() -> None:
        await eventually(lambda: engine.health.ready)
        before = engine.health.restarts
        chunks = await _begun(engine, _request(**MANY)) if busy else None
        await _suspend(engine)
        well = engine.health
        _pass_time(engine, 0.6)
        unwell = engine.health
        assert (well.ready, well.progressing) == (True, True)
        assert (unwell.ready, unwell.progressing) == (True, False)
        _pass_time(engine, 0.6)
        await eventually(lambda: engine.health.restarts == before + 1)
        if chunks is not None:
            with pytest.raises(EngineRestartedError):
                [chunk async for chunk in chunks]
        assert await _answer(engine, _request(2))
        assert engine.health.progressing

    run(scenario())


def test_a_process_that_can_not_be_started_is_tried_again(
    run: Run, engine: TorchEngine, caplog: pytest.LogCaptureFixture
) -> None:
    files, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def scenario() -> None:
        expected = await _answer(engine, _request(3))
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, most_files))
        try:
            os.kill(_pid(engine), signal.SIGKILL)
            await eventually(lambda: caplog.text.count("no process can be started for the engine") == 2)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, most_files))
        assert await _answer(engine, _request(3)) == expected

    run(scenario())


def test_a_poison_request_fails_alone(run: Run, engine: TorchEngine) -> None:
    good = [tuple(min(t, POISON - 1) for t in prompt) for prompt in trained.prompts(12)]
    sampling = {"banned": (POISON,)}

    async def scenario() -> None:
        requests = [_request(n, model="poisonous", prompt=p, sampling=sampling) for n, p in enumerate(good)]
        expected = [await _answer(engine, request) for request in requests]
        bad = _request(model="poisonous", prompt=(5, POISON, 6))
        texts = ScoreRequest(model="poisonous", sequences=((5, POISON, 6),), starts=(1,))
        fine = ScoreRequest(model="poisonous", sequences=((5, 4, 6), (5, 7)), starts=(1, 1))
        for _ in range(3):  # Slots are used again: nothing of the poison may be left in them.
            results = await asyncio.gather(
                *(_answer(engine, request) for request in requests),
                _answer(engine, bad),
                engine.score(texts),
                engine.score(fine),
                return_exceptions=True,
            )
            assert results[: len(good)] == expected
            assert all(isinstance(e, EngineError) and "not finite" in str(e) for e in results[len(good) : -1])
            assert not isinstance(results[-1], BaseException)

    run(scenario())
    assert engine.health.ready


def test_what_can_not_be_done_is_refused_before_it_joins_others(run: Run, engine: TorchEngine) -> None:
    for request in (_request(prompt=(64,)), _request(sampling={"max_tokens": 999})):
        with pytest.raises(RequestRefusedError):
            run(_answer(engine, request))


def test_that_a_model_is_not_there_is_not_the_requests_fault(run: Run, engine: TorchEngine) -> None:
    with pytest.raises(EngineRestartedError, match="nobody is not loaded; send it again"):
        run(_answer(engine, _request(model="nobody")))


def test_a_storm_of_cancels_leaves_nothing(run: Run, engine: TorchEngine) -> None:
    async def scenario() -> None:
        storm = [
            asyncio.create_task(_begun(engine, _request(n, model="ab"[n % 2], sampling=LONG)))
            for n in range(200)
        ]
        done, _ = await asyncio.wait(storm, return_when=asyncio.FIRST_COMPLETED)
        for task in storm:
            task.cancel()
        await asyncio.gather(*(task.result().aclose() for task in done))  # type: ignore[attr-defined]
        await asyncio.gather(*storm, return_exceptions=True)
        for task in storm:
            if not task.cancelled() and task not in done:
                await task.result().aclose()  # type: ignore[attr-defined]
        answer = await _answer(engine, _request(4))
        assert answer == await _answer(engine, _request(4))
        await eventually(lambda: engine.health.num_running == engine.health.num_waiting == 0)
        assert engine.health.cache_usage == 0.0
        assert engine._mailboxes == {}

    run(scenario())


def test_a_deadline_ends_a_request(run: Run, engine: TorchEngine) -> None:
    async def scenario() -> None:
        with pytest.raises(DeadlineExceededError):
            await _answer(engine, _request(sampling=LONG, draws=30, deadline_seconds=0.02))
        many = ScoreRequest(
            model="a", sequences=((1, 2, 3) * 60,) * 2000, starts=(1,) * 2000, deadline_seconds=0.02
        )
        with pytest.raises(DeadlineExceededError):
            await engine.score(many)
        await _suspend(engine)
        try:
            with pytest.raises(DeadlineExceededError):
                await engine.score(many)  # More than the process takes before it reads.
        finally:
            os.kill(_pid(engine), signal.SIGCONT)
        await eventually(lambda: engine.health.num_running == engine.health.num_waiting == 0)
        assert await _answer(engine, _request(0, deadline_seconds=PATIENCE_SECONDS))

    run(scenario())


def test_a_slow_reader_gets_everything(run: Run, engine: TorchEngine) -> None:
    async def scenario() -> None:
        request = _request(sampling=LONG)
        chunks = engine.generate(request)
        found = [token.id for token in (await anext(chunks)).tokens]
        await eventually(lambda: engine.health.num_running == 0)
        async for chunk in chunks:
            found += [token.id for token in chunk.tokens]
        assert found == (await _answer(engine, request))[0]
        assert len(found) == 150

    run(scenario())


def test_memory_stays_flat(run: Run, engine: TorchEngine) -> None:
    async def scenario() -> tuple[int, int]:
        process = psutil.Process(_pid(engine))
        sizes = []
        for start in range(0, 500, 50):
            await asyncio.gather(*(_answer(engine, _request(start + n, draws=1 + n % 3)) for n in range(50)))
            sizes.append(process.memory_info().rss)
        return sizes[2], sizes[-1]

    early, late = run(scenario())
    assert late < early + 2**24


def test_models_that_can_not_be_run_are_refused_and_others_go_on(
    run: Run, engine: TorchEngine, tmp_path: Path
) -> None:
    tiny.model("bloom").save_pretrained(tmp_path / "bloom")

    async def scenario() -> None:
        with pytest.raises(RequestRefusedError, match=r"Bloom.*supported are Llama"):
            await engine.load(ModelFolder(key="bloom", folder=tmp_path / "bloom"))
        with pytest.raises(RequestRefusedError, match="nowhere can't be loaded"):
            await engine.load(ModelFolder(key="nowhere", folder=tmp_path / "nowhere"))
        assert await _answer(engine, _request(1))

    run(scenario())


def test_an_unloaded_model_ends_its_own_requests_and_can_come_back(
    run: Run, engine: TorchEngine, folders: Path
) -> None:
    async def scenario() -> None:
        other = await _begun(engine, _request(model="a", sampling=LONG))
        chunks = await _begun(engine, _request(model="b", **MANY))
        await engine.unload("b")
        with pytest.raises(EngineRestartedError, match="b is not loaded; send it again"):
            [chunk async for chunk in chunks]
        with pytest.raises(EngineRestartedError, match="b is not loaded; send it again"):
            await _answer(engine, _request(model="b"))
        assert [chunk async for chunk in other][-1].finish == "length"
        facts = await engine.load(ModelFolder(key="b", folder=folders / "b"))
        assert (facts.architecture, facts.vocabulary) == ("LlamaForCausalLM", trained.VOCABULARY)
        assert facts.max_length == trained.MAX_LENGTH
        assert await engine.load(ModelFolder(key="b", folder=folders / "b")) == facts
        assert await _answer(engine, _request(model="b", request_class=RequestClass.EVALUATION))

    run(scenario())


async def _stop(engine: TorchEngine) -> None:
    await engine.stop()


async def _stop_when_it_ends(engine: TorchEngine) -> None:
    """While whoever watches the process sees to it that nothing of it is left."""
    os.kill(_pid(engine), signal.SIGKILL)
    while engine._process is not None:
        await asyncio.sleep(0)
    await engine.stop()


async def _stop_when_it_is_given_up(engine: TorchEngine) -> None:
    """While whoever watches the process ends what listens to it."""
    loop, stopping = asyncio.get_running_loop(), []

    class Stopper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "made no progress" in record.getMessage():
                stopping.append(loop.create_task(engine.stop()))

    logger, stopper = logging.getLogger("services.model_server.engine.torch_engine"), Stopper()
    logger.addHandler(stopper)
    try:
        await _suspend(engine)
        _pass_time(engine, 1.0)
        await eventually(lambda: bool(stopping))
    finally:
        logger.removeHandler(stopper)
    done, _ = await asyncio.wait(stopping, timeout=PATIENCE_SECONDS / 2)
    assert done


@pytest.mark.parametrize(
    "stop",
    [
        _stop,
        pytest.param(_stop_when_it_ends, marks=pytest.mark.slow),
        pytest.param(_stop_when_it_is_given_up, marks=pytest.mark.slow),
    ],
)
def test_stop_fails_what_is_under_way(
    run: Run, folders: Path, stop: Callable[[TorchEngine], Coroutine[Any, Any, None]]
) -> None:
    async def scenario() -> None:
        engine, model = TorchEngine(EngineOptions(num_threads=1)), ModelFolder(key="a", folder=folders / "a")
        await engine.start()
        await engine.load(model)
        chunks = await _begun(engine, _request(**MANY))
        process = psutil.Process(_pid(engine))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await stop(engine)
            with pytest.raises(EngineRestartedError):
                [chunk async for chunk in chunks]
            with pytest.raises(EngineRestartedError, match="not loaded"):
                await _answer(engine, _request())
            with pytest.raises(EngineRestartedError, match="stopped"):
                await engine.load(model)
        assert _is_gone(process)
        assert not engine.health.ready

    run(scenario())


def test_the_process_ends_with_its_server() -> None:
    script = (
        "import asyncio, sys, time\n"
        "from services.model_server.engine.options import EngineOptions\n"
        "from services.model_server.engine.process import EngineProcess\n"
        "process = asyncio.run(EngineProcess.start(EngineOptions()))\n"
        "sys.stdout.write(f'{process.pid}\\n'); sys.stdout.flush(); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        child = psutil.Process(int(server.stdout.readline()))
        server.kill()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _is_gone(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _is_gone(child)


def _is_gone(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True

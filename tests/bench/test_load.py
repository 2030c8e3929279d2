"""The load generator against a server whose every token takes a known time."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import pytest

from bench.load.client import Client
from bench.load.driver import Driver, Stretch
from bench.load.work import Work, read_text
from services.model_server import ServerSettings
from services.model_server.engine.base import EngineRestartedError
from services.model_server.settings import QueueBounds
from tests.services.model_server.doubles import MAX_LENGTH, BigramEngine, FixedModels, table
from tests.services.model_server.live import Live, run_live

STEP_SECONDS = 0.004
NARROW = QueueBounds(
    running_requests=1,
    running_tokens=10_000,
    waiting_requests=1,
    waiting_tokens=10_000,
    patience_seconds=30,
    deadline_seconds=60,
)


@pytest.fixture
def engine() -> BigramEngine:
    return BigramEngine({"a": table(0)}, step_seconds=STEP_SECONDS)


@pytest.fixture
def live(engine: BigramEngine) -> Iterator[Live]:
    with run_live(engine, FixedModels()) as found:
        yield found


def drive(url: str, act: Callable[[Driver], Coroutine[Any, Any, Stretch]], **work: Any) -> Stretch:
    async def run() -> Stretch:
        client = Client(url)
        ids, most = await read_text(client, "latest")
        assert most == MAX_LENGTH
        try:
            return await act(Driver(client, Work(ids, model="latest", max_length=most, **work)))
        finally:
            client.close()

    return asyncio.run(run())


def test_a_closed_loop_keeps_so_many_going(live: Live, engine: BigramEngine) -> None:
    stretch = drive(live.url, lambda driver: driver.closed(4, requests=12))
    assert Counter(one.outcome for one in stretch.samples) == {"200": 12}
    asked = [request.sampling.max_tokens for request in engine.requests]  # type: ignore[union-attr]
    assert sum(one.tokens for one in stretch.samples) <= sum(asked)
    assert all(16 <= count <= 112 for count in asked)
    for one in stretch.samples:
        assert one.tokens * STEP_SECONDS <= one.seconds <= stretch.seconds
        assert (one.first, one.between) == (None, None)
    assert sum(one.seconds for one in stretch.samples) > 2 * stretch.seconds


def test_none_is_begun_when_the_time_is_over(live: Live) -> None:
    took = []

    async def act(driver: Driver) -> Stretch:
        begin = time.perf_counter()
        stretch = await driver.closed(2, seconds=0.3)
        took.append(time.perf_counter() - begin)
        return stretch

    samples = [one.seconds for one in drive(live.url, act).samples]
    assert took[0] >= 0.3
    # Of each of the two, all but the last had ended by then.
    assert sum(samples) <= 2 * (0.3 + max(samples))
    assert drive(live.url, lambda driver: driver.closed(2, seconds=0.0)).samples == []


def test_a_stream_is_timed_from_token_to_token(live: Live) -> None:
    stretch = drive(live.url, lambda driver: driver.closed(1, requests=6), stream=True)
    assert len(stretch.samples) == 6
    for one in stretch.samples:
        assert one.first is not None and one.between is not None
        assert STEP_SECONDS <= one.first < one.seconds
        # A reader that was held up sees tokens together, but none before it was there.
        assert STEP_SECONDS * (one.tokens - 1) <= one.first + one.between * (one.tokens - 1) <= one.seconds


def test_items_are_two_texts_with_one_context_scored(live: Live, engine: BigramEngine) -> None:
    stretch = drive(live.url, lambda driver: driver.closed(1, requests=5), mix="scoring")
    assert [(one.kind, one.outcome, one.items, one.tokens) for one in stretch.samples] == [
        ("scoring", "200", 1, 0)
    ] * 5
    for request in engine.requests:
        one, other = request.sequences  # type: ignore[union-attr]
        shared = next(n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])
        assert shared >= 32
        assert len(one) - shared <= 8 and len(other) - shared <= 8


def test_both_kinds_take_turns(live: Live) -> None:
    stretch = drive(live.url, lambda driver: driver.closed(1, requests=6), mix="both")
    assert [one.kind for one in stretch.samples] == ["interactive", "scoring"] * 3


def test_an_open_loop_waits_for_nobody_and_counts_who_is_sent_away(engine: BigramEngine) -> None:
    draw, arrivals, due = random.Random("arrivals"), 0, 0.0
    while (due := due + draw.expovariate(200)) < 1.0:
        arrivals += 1
    with run_live(engine, FixedModels(), ServerSettings(interactive=NARROW)) as live:
        stretch = drive(live.url, lambda driver: driver.open(200, seconds=1.0))
    outcomes = Counter(one.outcome for one in stretch.samples)
    assert outcomes.total() == arrivals
    assert outcomes.keys() == {"200", "429"}
    assert outcomes["429"] > outcomes["200"] > 1
    assert [one.told_to_wait for one in stretch.samples] == [one.outcome == "429" for one in stretch.samples]


def test_equal_numbers_ask_the_same(live: Live) -> None:
    work = Work(range(3, 200), model="latest", mix="both")
    again = Work(range(3, 200), model="latest", mix="both")
    assert [work.ask(n).body for n in range(20)] == [again.ask(n).body for n in range(20)]
    assert len({work.ask(n).body for n in range(20)}) == 20
    few = Work(range(3, 200), model="latest", mix="both", distinct=4)
    assert [few.ask(n).body for n in range(8)] == [few.ask(n % 4).body for n in range(8)]


def test_what_is_no_answer_is_told_apart(live: Live, engine: BigramEngine) -> None:
    engine.failure = EngineRestartedError("the engine went down")
    whole = drive(live.url, lambda driver: driver.closed(1, requests=1))
    streamed = drive(live.url, lambda driver: driver.closed(1, requests=1), stream=True)
    assert [one.outcome for one in (*whole.samples, *streamed.samples)] == ["503", "broken"]


def test_a_server_that_has_gone_is_no_answer_either(live: Live) -> None:
    async def run() -> Stretch:
        client = Client(live.url)
        ids, _ = await read_text(client, "latest")
        client.close()
        gone = Client("http://127.0.0.1:9")
        return await Driver(gone, Work(ids, model="latest")).closed(2, requests=3)

    assert [one.outcome for one in asyncio.run(run()).samples] == ["refused"] * 3


def test_half_an_answer_is_broken_and_not_asked_for_again() -> None:
    whole = _whole(b'{"usage": {"completion_tokens": 1}}')
    asked, outcomes = _against(whole, whole[:50])
    assert (asked, outcomes) == (2, ["200", "broken"])


def test_a_connection_that_is_closed_when_it_is_used_again_is_no_failure() -> None:
    whole = _whole(b'{"usage": {"completion_tokens": 1}}')
    asked, outcomes = _against(whole, b"", whole)
    assert (asked, outcomes) == (3, ["200", "200"])


def test_a_stream_that_ends_too_early_is_broken() -> None:
    begun = b'data: {"choices": [{"text":"a"}]}\n\n'
    _, outcomes = _against(_whole(b""), _whole(begun), stream=True)
    assert outcomes == ["broken", "broken"]


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def _against(*answers: bytes, stream: bool = False) -> tuple[int, list[str]]:
    """Ask two things of a server that says these, and hangs up after one that is not whole.

    Returns:
        How often it was asked, and what came of the two.
    """
    left = iter(answers)
    asked = num_connections = 0
    ended = asyncio.Semaphore(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked, num_connections
        num_connections += 1
        while head := await _head(reader):
            await reader.readexactly(int(head.partition(b"content-length: ")[2]))
            asked += 1
            answer = next(left, b"")
            writer.write(answer)
            if answer != _whole(answer.partition(b"\r\n\r\n")[2]):
                break
        writer.close()
        await writer.wait_closed()
        ended.release()

    async def run() -> Stretch:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            client = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            work = Work(range(3, 200), model="latest", stream=stream)
            try:
                return await Driver(client, work).closed(1, requests=2)
            finally:
                client.close()
                for _ in range(num_connections):
                    await ended.acquire()

    outcomes = [one.outcome for one in asyncio.run(run()).samples]
    return asked, outcomes


async def _head(reader: asyncio.StreamReader) -> bytes:
    """A request's, whose last line tells how long its body is; nothing when the client has gone."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        return (await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n")
    return b""


def test_an_answer_that_is_late_is_given_up(live: Live) -> None:
    async def run() -> Stretch:
        client = Client(live.url, timeout_seconds=0.02)
        return await Driver(client, Work(range(3, 200), model="latest", max_length=MAX_LENGTH)).closed(
            1, requests=2
        )

    assert [one.outcome for one in asyncio.run(run()).samples] == ["late"] * 2

"""Sends requests, either as soon as others have ended or at a rate that waits for nobody, and times them."""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from bench.load.client import Answer, Client
from bench.load.work import Ask

TICK_SECONDS = 0.01
END = b"\n\ndata: [DONE]\n\n"
See = Callable[[Ask, Answer], None]
"""Is shown every request with its answer, as soon as that is whole."""


class Asks(Protocol):
    """What is asked: `Work`, or something made of several."""

    def ask(self, number: int) -> Ask:
        """A request by its number."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One request as its client saw it; times in seconds since it was due.

    Attributes:
        kind: `interactive` or `scoring`.
        outcome: The status, or what came in its place: `refused`, `broken` or `late`.
        seconds: Until the last byte.
        first: Until the first token, where the answer was streamed.
        between: From each token to the next, on average, where it was streamed.
        tokens: New ones.
        items: Scored.
        told_to_wait: Whether the answer had a Retry-After.
    """

    kind: str
    outcome: str
    seconds: float
    first: float | None = None
    between: float | None = None
    tokens: int = 0
    items: int = 0
    told_to_wait: bool = False


@dataclass(slots=True)
class Stretch:
    """What came of one stretch of load.

    Attributes:
        samples: One a request.
        seconds: From the first request to the end of the last.
        lags: How much later than it asked for this process was woken, sample by sample, in seconds.
        cpu: Share of one core that this process took.
    """

    samples: list[Sample] = field(default_factory=list)
    seconds: float = 0.0
    lags: list[float] = field(default_factory=list)
    cpu: float = 0.0


class Driver:
    """Puts a load on one server."""

    def __init__(self, client: Client, work: Asks, *, see: See | None = None) -> None:
        """Nothing is sent yet."""
        self._client = client
        self._work = work
        self._see = see
        self._numbers = itertools.count()

    async def closed(
        self, concurrent: int, *, seconds: float | None = None, requests: int | None = None
    ) -> Stretch:
        """Keep so many requests going: the next is sent when one has ended.

        Args:
            concurrent: requests at once.
            seconds: none is begun later than this.
            requests: no more than these.
        """
        assert seconds is not None or requests is not None
        end = None if seconds is None else time.perf_counter() + seconds
        left = iter(range(requests)) if requests is not None else itertools.repeat(0)

        async def one_by_one(samples: list[Sample]) -> None:
            for _ in left:
                if end is not None and time.perf_counter() >= end:
                    return
                samples.append(await self._one(time.perf_counter()))

        async def run(stretch: Stretch) -> None:
            await asyncio.gather(*(one_by_one(stretch.samples) for _ in range(concurrent)))

        return await _watched(run)

    async def open(self, rate: float, *, seconds: float) -> Stretch:
        """Send at a rate, with exponential gaps, however the server fares.

        What is sent late because this process was behind counts from when it was due.

        Args:
            rate: requests a second, on average.
            seconds: none is sent later than this; those that are open then are waited for.
        """
        draw = random.Random("arrivals")

        async def run(stretch: Stretch) -> None:
            async def one(due: float) -> None:
                stretch.samples.append(await self._one(due))

            begin = time.perf_counter()
            due = begin
            async with asyncio.TaskGroup() as group:
                while (due := due + draw.expovariate(rate)) < begin + seconds:
                    if (ahead := due - time.perf_counter()) > 0:
                        await asyncio.sleep(ahead)
                    group.create_task(one(due))

        return await _watched(run)

    async def _one(self, due: float) -> Sample:
        ask = self._work.ask(next(self._numbers))
        try:
            answer = await self._client.post("/v1/completions", ask.body)
        except TimeoutError:
            return Sample(ask.kind, "late", time.perf_counter() - due)
        except ConnectionRefusedError:
            return Sample(ask.kind, "refused", time.perf_counter() - due)
        except OSError:
            return Sample(ask.kind, "broken", time.perf_counter() - due)
        if self._see is not None:
            self._see(ask, answer)
        return sample(ask, answer, due)


def sample(ask: Ask, answer: Answer, due: float) -> Sample:
    """Read an answer that was due at a clock's time."""
    seconds, wait = answer.ended - due, "retry-after" in answer.headers
    if answer.status != 200:
        return Sample(ask.kind, str(answer.status), seconds, told_to_wait=wait)
    if not ask.stream:
        tokens = 0 if ask.items else int(orjson.loads(answer.body)["usage"]["completion_tokens"])
        return Sample(ask.kind, "200", seconds, tokens=tokens, items=ask.items)
    return _streamed(ask, answer, due)


def _streamed(ask: Ask, answer: Answer, due: float) -> Sample:
    """Times are those of the pieces in which text came; how many tokens there were is told at the end."""
    times = [when for when, data in answer.pieces if b'"text":"' in data]
    whole = answer.body
    *_, last = whole.removesuffix(END).split(b"\n\n")
    if not whole.endswith(END) or b'"error"' in last:
        return Sample(ask.kind, "broken", answer.ended - due)
    tokens = int(orjson.loads(last.removeprefix(b"data: "))["usage"]["completion_tokens"])
    first = times[0] - due if times else None
    between = (times[-1] - times[0]) / (tokens - 1) if tokens > 1 else None
    return Sample(ask.kind, "200", answer.ended - due, first, between, tokens)


async def _watched(run: Callable[[Stretch], Awaitable[None]]) -> Stretch:
    """A stretch with what this process itself did meanwhile."""
    stretch = Stretch()
    ticker = asyncio.create_task(_tick(stretch.lags))
    begin, cpu = time.perf_counter(), time.process_time()
    try:
        await run(stretch)
    finally:
        stretch.seconds = time.perf_counter() - begin
        stretch.cpu = (time.process_time() - cpu) / stretch.seconds
        ticker.cancel()
        await asyncio.gather(ticker, return_exceptions=True)
    return stretch


async def _tick(lags: list[float]) -> None:
    while True:
        asked = time.perf_counter()
        await asyncio.sleep(TICK_SECONDS)
        lags.append(time.perf_counter() - asked - TICK_SECONDS)

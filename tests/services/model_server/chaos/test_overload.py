"""Ten times what the server can do, for a minute: it does what it can, well, and says so to all others."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import psutil
import pytest
import uvloop

from bench.load.client import Answer, Client
from bench.load.driver import Driver, Stretch
from bench.load.figures import figures
from bench.load.own import MODEL, Own, own_server
from bench.load.work import Ask, Work, read_text
from services.model_server.settings import QueueBounds
from tests.services.model_server.chaos import jobs

TIMES = 10
TOLERANCE_NATS = 1e-4
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scale:
    """How long and how much.

    Attributes:
        seconds: Of the overload.
        warm_seconds: Of the one before it.
        capacity_seconds: In which it is measured what the server can do.
        queue: Requests that may run and that may wait, of each class.
        distinct: Different requests of each kind, whose answers are known beforehand.
        items: Of the evaluation, in each cell.
        growth: Bytes by which each process may be larger after the overload than after the one before. The
            shorter that was, the less it has seen of the largest batches.
    """

    seconds: float
    warm_seconds: float
    capacity_seconds: float
    queue: int
    distinct: int
    items: int
    growth: int

    @property
    def bounds(self) -> QueueBounds:
        return QueueBounds(
            running_requests=self.queue,
            running_tokens=262_144,
            waiting_requests=self.queue,
            waiting_tokens=1_048_576,
            patience_seconds=60.0,
            deadline_seconds=600.0,
        )


SHORT = Scale(
    seconds=5.0, warm_seconds=2.0, capacity_seconds=2.0, queue=16, distinct=5, items=2, growth=2**25
)
MINUTE = Scale(
    seconds=60.0, warm_seconds=10.0, capacity_seconds=5.0, queue=48, distinct=12, items=12, growth=2**24
)


class Mixed:
    """Continuations, the same ones streamed, and items to score, by turns."""

    def __init__(self, ids: Sequence[int], distinct: int) -> None:
        self.kinds = (
            Work(ids, model=MODEL, distinct=distinct),
            Work(ids, model=MODEL, distinct=distinct, stream=True),
            Work(ids, model=MODEL, distinct=distinct, mix="scoring"),
        )

    def ask(self, number: int) -> Ask:
        return self.kinds[number % len(self.kinds)].ask(number // len(self.kinds))


@dataclass
class Known:
    """Answers of a server that did nothing else, and what answers under load are other than those."""

    answers: dict[tuple[str, int], Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    waits: Counter[int] = field(default_factory=Counter)
    """Retry-After, in seconds, of those that were sent away."""

    def learn(self, ask: Ask, answer: Answer) -> None:
        assert answer.status == 200, answer.body
        self.answers.setdefault((ask.kind, ask.number), content(ask, answer))

    def check(self, ask: Ask, answer: Answer) -> None:
        if answer.status == 200:
            if not same(content(ask, answer), self.answers[ask.kind, ask.number]):
                self.wrong.append(f"{ask}: {answer.body.decode()}")
        elif answer.status in (429, 503):
            self.waits[int(answer.headers["retry-after"])] += 1
        else:
            self.wrong.append(f"{ask}: {answer.status} {answer.body.decode()}")


def content(ask: Ask, answer: Answer) -> Any:
    """The text, however it came, or each text's log-probabilities."""
    if ask.stream:
        *events, _, done, end = answer.body.split(b"\n\n")
        assert (done, end) == (b"data: [DONE]", b""), answer.body
        told = [orjson.loads(event.removeprefix(b"data: ")) for event in events]
        return "".join(event["choices"][0]["text"] for event in told)
    choices = orjson.loads(answer.body)["choices"]
    if ask.kind == "interactive":
        return choices[0]["text"]
    return [choice["logprobs"]["token_logprobs"][1:-1] for choice in choices]


def same(one: Any, other: Any) -> bool:
    """Texts to the letter, log-probabilities within 1e-4 nats."""
    if isinstance(one, str):
        return bool(one == other)
    pairs = [pair for ours, theirs in zip(one, other, strict=True) for pair in zip(ours, theirs, strict=True)]
    return all(abs(ours - theirs) <= TOLERANCE_NATS for ours, theirs in pairs)


@dataclass
class Overload:
    """What came of it, for the log."""

    capacity: float
    stretch: Stretch
    known: Known
    rss_before: tuple[int, int]
    rss_after: tuple[int, int]

    def told(self) -> dict[str, Any]:
        return {
            "capacity_requests_per_second": round(self.capacity, 1),
            "rss_mib_server_and_engine": [
                [round(size / 2**20, 1) for size in sizes] for sizes in (self.rss_before, self.rss_after)
            ],
            "retry_after": {str(wait): count for wait, count in sorted(self.known.waits.items())},
            **figures(self.stretch),
        }


@pytest.mark.parametrize(
    "scale",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(MINUTE, id="minute", marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_ten_times_what_it_can_do(scale: Scale) -> None:
    bounds: dict[str, Any] = dict.fromkeys(("interactive", "evaluation"), scale.bounds)
    with own_server(1, **bounds) as own:
        before = engine(own).pid
        with httpx.Client(base_url=own.url, timeout=60, trust_env=False) as client:
            job = {**jobs.JOB, "model": MODEL}
            job["tasks"] = [
                {"name": "world", "items_per_cell": scale.items, "perplexity_documents": scale.items}
            ]
            alone = jobs.submit(client, "alone", job)
            jobs.wait_until_done(client, alone)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found = runner.run(overload(own, scale, lambda key: jobs.submit(client, key, job)))
            beside = jobs.submit(client, "beside", job)
            jobs.wait_until_done(client, beside)
            jobs.assert_equal(jobs.rows(client, beside, MODEL), jobs.rows(client, alone, MODEL))
        assert engine(own).pid == before
    logger.info("%s", orjson.dumps(found.told(), option=orjson.OPT_INDENT_2).decode())
    assert found.known.wrong == []
    outcomes = Counter(one.outcome for one in found.stretch.samples)
    assert outcomes.keys() <= {"200", "429", "503"}
    assert found.known.waits.total() == outcomes["429"] + outcomes["503"]
    offered, served = len(found.stretch.samples), outcomes["200"]
    assert offered > 0.9 * TIMES * found.capacity * scale.seconds
    assert served > 0.5 * found.capacity * scale.seconds
    assert outcomes["429"] > 0.5 * offered
    for before, after in zip(found.rss_before, found.rss_after, strict=True):
        assert after < before + scale.growth


async def overload(own: Own, scale: Scale, begin_job: Callable[[str], object]) -> Overload:
    """Learn the answers, measure the capacity, go through a short overload, and then the real one."""
    client = Client(own.url)
    ids, _ = await read_text(client, MODEL)
    work, known = Mixed(ids, scale.distinct), Known()
    await Driver(client, work, see=known.learn).closed(1, requests=len(work.kinds) * scale.distinct)
    driver = Driver(client, work, see=known.check)
    calm = await driver.closed(scale.queue, seconds=scale.capacity_seconds)
    capacity = len(calm.samples) / calm.seconds
    await asyncio.to_thread(begin_job, "warm")
    await driver.open(TIMES * capacity, seconds=scale.warm_seconds)
    before = await rss(own)
    known.waits.clear()
    await asyncio.to_thread(begin_job, "beside")
    stretch = await driver.open(TIMES * capacity, seconds=scale.seconds)
    after = await rss(own)
    client.close()
    return Overload(capacity, stretch, known, before, after)


async def rss(own: Own) -> tuple[int, int]:
    """Resident bytes of the server and of its engine, a moment after the last answer."""
    await asyncio.sleep(1.0)
    return psutil.Process(own.process.pid).memory_info().rss, engine(own).memory_info().rss


def engine(own: Own) -> psutil.Process:
    children = psutil.Process(own.process.pid).children()
    (found,) = [one for one in children if "services.model_server.engine.child" in one.cmdline()]
    return found

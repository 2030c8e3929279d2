"""The queue that workers wait at; `work` itself is run by test_launcher.py."""

from __future__ import annotations

import asyncio

import pytest

from components.pretrain.segments import Segment
from components.pretrain.worker import QueueActor
from parable.store import LocalStore
from tests.components.pretrain.example import planned, recipe


@pytest.fixture
def segments(store: LocalStore) -> tuple[Segment, ...]:
    return planned(store, recipe()).segments


def test_a_worker_waits_until_a_parent_is_done(segments: tuple[Segment, ...]) -> None:
    trunk, plain, dosed = segments

    async def scenario() -> None:
        actor = QueueActor(segments)
        tickets = [await actor.join(rank) for rank in (0, 1)]
        assert await actor.take(0, tickets[0]) is trunk
        waiting = asyncio.ensure_future(actor.take(1, tickets[1]))
        await asyncio.sleep(0)
        assert not waiting.done()
        await actor.finish(trunk.artifact)
        assert await waiting is plain
        assert await actor.take(0, tickets[0]) is dosed

    asyncio.run(scenario())


def test_all_are_sent_home_at_the_end(segments: tuple[Segment, ...]) -> None:
    trunk = segments[0]

    async def scenario() -> None:
        actor = QueueActor([trunk])
        tickets = [await actor.join(rank) for rank in (0, 1)]
        assert await actor.take(0, tickets[0]) is trunk
        waiting = asyncio.ensure_future(actor.take(1, tickets[1]))
        await asyncio.sleep(0)
        await actor.finish(trunk.artifact)
        assert await waiting is None
        assert await actor.failure() is None

    asyncio.run(scenario())


def test_a_failure_sends_them_home_and_is_kept(segments: tuple[Segment, ...]) -> None:
    async def scenario() -> None:
        actor = QueueActor(segments)
        tickets = [await actor.join(rank) for rank in (0, 1)]
        await actor.take(0, tickets[0])
        waiting = asyncio.ensure_future(actor.take(1, tickets[1]))
        await asyncio.sleep(0)
        await actor.fail("The loss is nan.")
        assert await waiting is None
        assert await actor.failure() == "The loss is nan."

    asyncio.run(scenario())


def test_a_dead_worker_s_waiting_call_takes_nothing(segments: tuple[Segment, ...]) -> None:
    """Two workers crash, one of them while it waits; their successors get everything."""
    trunk, plain, _ = segments

    async def scenario() -> None:
        actor = QueueActor(segments)
        old = [await actor.join(rank) for rank in (0, 1)]
        assert await actor.take(0, old[0]) is trunk
        orphan = asyncio.ensure_future(actor.take(1, old[1]))
        await asyncio.sleep(0)
        new = [await actor.join(rank) for rank in (0, 1)]
        assert await orphan is None
        assert await actor.take(1, new[1]) is trunk
        await actor.finish(trunk.artifact)
        assert await actor.take(0, new[0]) is plain

    asyncio.run(scenario())

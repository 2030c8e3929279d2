"""Who begins, who waits, who is sent away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from services.model_server.admission import Admission, DrainingError, NeverFitsError, OverloadedError
from services.model_server.engine.base import RequestClass
from services.model_server.settings import QueueBounds, ServerSettings

NOW, LATER = RequestClass.INTERACTIVE, RequestClass.EVALUATION
BOUNDS = QueueBounds(
    running_requests=2,
    running_tokens=100,
    waiting_requests=2,
    waiting_tokens=150,
    patience_seconds=60,
    deadline_seconds=600,
)


def _run(test: Callable[[Admission], Awaitable[None]], **changes: Any) -> None:
    bounds = BOUNDS.model_copy(update=changes)
    asyncio.run(test(Admission(ServerSettings(interactive=bounds, evaluation=bounds))))  # type: ignore[arg-type]


_held: list[AsyncExitStack] = []
"""Nothing leaves because nobody remembers it."""


async def _hold(admission: Admission, tokens: int, kind: RequestClass = NOW) -> AsyncExitStack:
    stack = AsyncExitStack()
    _held.append(stack)
    await stack.enter_async_context(admission.admit(kind, tokens))
    return stack


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_fits_begins_at_once_and_the_rest_in_order() -> None:
    async def test(admission: Admission) -> None:
        first, second = await _hold(admission, 10), await _hold(admission, 10)
        waiting = [asyncio.create_task(_hold(admission, 10)) for _ in range(2)]
        await _settle()
        assert (admission.num_running(NOW), admission.num_waiting(NOW)) == (2, 2)
        await first.aclose()
        await _settle()
        assert [task.done() for task in waiting] == [True, False]
        await second.aclose()
        await _settle()
        assert (admission.num_running(NOW), admission.num_waiting(NOW)) == (2, 0)

    _run(test)


def test_tokens_bound_it_as_requests_do() -> None:
    async def test(admission: Admission) -> None:
        held = await _hold(admission, 95)
        waiting = asyncio.create_task(_hold(admission, 10))
        await _settle()
        assert not waiting.done()
        await held.aclose()
        await _settle()
        assert waiting.done()

    _run(test)


def test_a_small_one_does_not_overtake_a_large_one() -> None:
    async def test(admission: Admission) -> None:
        held = await _hold(admission, 60)
        large, small = asyncio.create_task(_hold(admission, 90)), asyncio.create_task(_hold(admission, 1))
        await _settle()
        assert not large.done() and not small.done()
        await held.aclose()
        await _settle()
        assert large.done() and small.done()

    _run(test)


def test_past_the_bound_of_either_a_request_is_sent_away_with_a_time() -> None:
    async def test(admission: Admission) -> None:
        await _hold(admission, 100)
        waiting = asyncio.create_task(_hold(admission, 100))
        await _settle()
        with pytest.raises(OverloadedError) as caught:
            await _hold(admission, 51)
        assert caught.value.retry_seconds >= 1
        other = asyncio.create_task(_hold(admission, 50))
        await _settle()
        with pytest.raises(OverloadedError):
            await _hold(admission, 0)
        waiting.cancel()
        other.cancel()
        await asyncio.gather(waiting, other, return_exceptions=True)
        assert admission.num_waiting(NOW) == 0

    _run(test)


def test_what_is_larger_than_the_queue_never_fits() -> None:
    async def test(admission: Admission) -> None:
        with pytest.raises(NeverFitsError, match="150 are possible"):
            await _hold(admission, 151)

    _run(test)


def test_what_is_larger_than_all_that_may_run_runs_alone() -> None:
    async def test(admission: Admission) -> None:
        held = await _hold(admission, 10)
        large = asyncio.create_task(_hold(admission, 140))
        await _settle()
        assert not large.done()
        await held.aclose()
        await _settle()
        assert large.done()

    _run(test)


def test_the_classes_do_not_take_each_other_s_places() -> None:
    async def test(admission: Admission) -> None:
        for _ in range(2):
            await _hold(admission, 50, LATER)
        waiting = [asyncio.create_task(_hold(admission, 50, LATER)) for _ in range(2)]
        await _settle()
        await _hold(admission, 100, NOW)
        assert (admission.num_waiting(LATER), admission.num_waiting(NOW)) == (2, 0)
        admission.close()
        await asyncio.gather(*waiting, return_exceptions=True)

    _run(test)


def test_patience_ends() -> None:
    async def test(admission: Admission) -> None:
        await _hold(admission, 100)
        with pytest.raises(OverloadedError, match=r"within 0\.01 s"):
            await _hold(admission, 100)
        assert admission.num_waiting(NOW) == 0

    _run(test, patience_seconds=0.01)


def test_whoever_gives_up_leaves_no_gap() -> None:
    async def test(admission: Admission) -> None:
        held = await _hold(admission, 100)
        gone, next_one = asyncio.create_task(_hold(admission, 50)), asyncio.create_task(_hold(admission, 100))
        await _settle()
        gone.cancel()
        await held.aclose()
        await _settle()
        assert next_one.done() and gone.cancelled()
        assert admission.num_running(NOW) == 1

    _run(test)


def test_a_turn_that_comes_with_the_cancellation_is_passed_on() -> None:
    async def test(admission: Admission) -> None:
        held = await _hold(admission, 100)
        gone, next_one = asyncio.create_task(_hold(admission, 100)), asyncio.create_task(_hold(admission, 50))
        await _settle()
        await held.aclose()  # The turn is given, and not yet taken.
        gone.cancel()
        await _settle()
        assert next_one.done()
        assert admission.num_running(NOW) == 1

    _run(test)


def test_when_the_server_goes_down_nobody_waits_for_it() -> None:
    async def test(admission: Admission) -> None:
        held = await _hold(admission, 100)
        waiting = asyncio.create_task(_hold(admission, 100))
        await _settle()
        admission.close()
        with pytest.raises(DrainingError):
            await waiting
        with pytest.raises(DrainingError):
            await _hold(admission, 1)
        await held.aclose()
        assert (admission.num_running(NOW), admission.num_waiting(NOW)) == (0, 0)

    _run(test)


def test_the_time_to_come_again_follows_the_speed() -> None:
    async def test(admission: Admission) -> None:
        await (await _hold(admission, 100)).aclose()
        assert admission.retry_seconds(NOW) == 1

    _run(test)


def test_evaluation_waits_as_long_as_its_harness_does() -> None:
    settings = ServerSettings()
    assert settings.evaluation.patience_seconds == 280
    assert settings.evaluation.deadline_seconds < 300

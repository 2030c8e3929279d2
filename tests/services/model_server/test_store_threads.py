"""Threads for the store, as an executor; what they are for is shown by `chaos/test_hung_store.py`."""

from __future__ import annotations

import asyncio
import threading

import pytest

from services.model_server.store_threads import StoreThreads


def test_calls_answer_with_their_results_and_their_errors() -> None:
    threads = StoreThreads(2, "test")
    assert threads.submit(divmod, 7, 2).result() == (3, 1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(divmod, 7, 0).result()
    threads.end(60)


def test_a_call_that_nobody_waits_for_any_longer_is_not_begun() -> None:
    threads, gate = StoreThreads(1, "test"), threading.Event()
    begun: list[int] = []

    async def play() -> None:
        loop = asyncio.get_running_loop()
        first = loop.run_in_executor(threads, gate.wait)
        second = loop.run_in_executor(threads, begun.append, 2)
        second.cancel()
        gate.set()
        assert await first
        await loop.run_in_executor(threads, begun.append, 3)

    asyncio.run(play())
    assert begun == [3]


def test_one_that_hangs_is_left_alone() -> None:
    threads, gate = StoreThreads(1, "test"), threading.Event()
    hanging = threads.submit(gate.wait)
    threads.end()
    assert not hanging.done()
    gate.set()
    assert hanging.result()

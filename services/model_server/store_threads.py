"""Threads that wait for a store: one that hangs holds up neither the loop nor the process's end."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from functools import partial
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
_Call = tuple["Future[Any]", Callable[[], Any]]


class StoreThreads(Executor):
    """A fixed number of threads. Python ends without them; for a `ThreadPoolExecutor`'s it would wait."""

    def __init__(self, count: int, name: str) -> None:
        """Start them."""
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads = [
            Thread(target=self._run, daemon=True, name=f"{name} {number}") for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, fn: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> "Future[Result]":
        """See `Executor.submit`."""
        future: Future[Result] = Future()
        self._calls.put((future, partial(fn, *args, **kwargs)))
        return future

    def end(self, seconds: float = 0.0) -> None:
        """Take no more, and wait no longer than so for what is under way: one that hangs is left alone."""
        for _ in self._threads:
            self._calls.put(None)
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        while (taken := self._calls.get()) is not None:
            future, call = taken
            if future.set_running_or_notify_cancel():
                with _Answer(future):
                    future.set_result(call())


class _Answer(AbstractContextManager[None]):
    """What is raised in its block goes to whoever waits for the result."""

    def __init__(self, future: "Future[Any]") -> None:
        self._future = future

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None:
            self._future.set_exception(error)
        return True

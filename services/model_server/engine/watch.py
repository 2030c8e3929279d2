"""How the server's side of an engine watches a process, and waits no longer than a request may take."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

from services.model_server.engine.base import DeadlineExceededError

FIRST_BACKOFF_SECONDS = 0.1
MOST_BACKOFF_SECONDS = 10.0
RESTARTED = "the engine's process had to be started anew while it worked on this; send it again"
STOPPED = "the engine was stopped"
Answer = TypeVar("Answer")


@dataclass(slots=True)
class Beat:
    """What a process last said of itself."""

    busy: bool = False
    num_steps: int = 0
    num_running: int = 0
    num_waiting: int = 0
    cache_usage: float = 0.0


@dataclass(slots=True)
class Watch:
    """Since when there was no progress; a machine that slept does not count as a process that hung.

    Attributes:
        tick_seconds: How often it is ticked.
    """

    tick_seconds: float
    silent_seconds: float = 0.0
    beat: Beat = field(default_factory=Beat)
    _ticked: float = field(default_factory=time.monotonic)

    def note(self, beat: Beat) -> None:
        """Take a sign of life: progress is a step, or having nothing to do."""
        if not beat.busy or beat.num_steps != self.beat.num_steps:
            self.note_progress()
        self.beat = beat

    def note_progress(self) -> None:
        """Something has come of it, whatever it says of itself."""
        self.silent_seconds = 0.0

    def tick(self) -> None:
        """Time has passed."""
        now = time.monotonic()
        self.silent_seconds += min(now - self._ticked, 2 * self.tick_seconds)
        self._ticked = now


def not_loaded(key: str) -> str:
    """What a request is told whose model has gone since it was let in."""
    return f"the model {key} is not loaded; send it again"


def next_backoff(seconds: float, *, came_up: bool) -> float:
    """How long to wait before a process is started anew: longer each time that it did not come up."""
    return 0.0 if came_up else min(MOST_BACKOFF_SECONDS, max(FIRST_BACKOFF_SECONDS, 2 * seconds))


class Deadline:
    """Waits no longer than a request may take altogether."""

    def __init__(self, seconds: float | None) -> None:
        """So many seconds from now; None waits for ever."""
        self._end = None if seconds is None else time.monotonic() + seconds

    async def wait(self, awaitable: Awaitable[Answer]) -> Answer:
        """What is awaited.

        Raises:
            DeadlineExceededError: it did not come in time.
        """
        left = None if self._end is None else max(0.0, self._end - time.monotonic())
        try:
            async with asyncio.timeout(left):
                return await awaitable
        except TimeoutError as error:
            raise DeadlineExceededError("the request was not finished within its deadline") from error

"""Who may begin now, who waits, and who is sent away.

Each class of requests has its own queue, bounded by requests and by tokens, so neither starves the other.
What waits here waits in order of arrival, and survives a restart of the engine.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.model_server.engine.base import RequestClass
from services.model_server.settings import QueueBounds, ServerSettings

MOST_RETRY_SECONDS = 60.0
_MEMORY = 0.9
"""Share of the known speed that each finished request leaves in place."""


class AdmissionError(RuntimeError):
    """A request may not begin."""


class NeverFitsError(AdmissionError):
    """It asks for more tokens than the whole queue holds."""


class OverloadedError(AdmissionError):
    """Not now; `retry_seconds` says when."""

    def __init__(self, message: str, retry_seconds: float) -> None:
        """Say why, and when to come again."""
        super().__init__(message)
        self.retry_seconds = retry_seconds


class DrainingError(AdmissionError):
    """The server is going down."""


@dataclass(slots=True, eq=False)
class _Waiting:
    tokens: int
    turn: "asyncio.Future[None]"


class _Queue:
    """One class of requests."""

    def __init__(self, name: str, bounds: QueueBounds, clock: Callable[[], float]) -> None:
        self.name = name
        self.bounds = bounds
        self.num_running = 0
        self.running_tokens = 0
        self.waiting: deque[_Waiting] = deque()
        self.waiting_tokens = 0
        self._clock = clock
        self._tokens_per_second: float | None = None

    async def enter(self, tokens: int) -> None:
        bounds = self.bounds
        if tokens > bounds.waiting_tokens:
            raise NeverFitsError(
                f"The request comes to {tokens:,} tokens, those read and those that may be made; "
                f"{bounds.waiting_tokens:,} are possible. Split it, or ask for fewer."
            )
        if not self.waiting and self._has_room(tokens):
            self._begin(tokens)
            return
        if (
            len(self.waiting) >= bounds.waiting_requests
            or self.waiting_tokens + tokens > bounds.waiting_tokens
        ):
            raise OverloadedError(
                f"The {self.name} queue is full: {len(self.waiting)} requests of {self.waiting_tokens:,} "
                "tokens wait.",
                self.retry_seconds(),
            )
        await self._wait(_Waiting(tokens, asyncio.get_running_loop().create_future()))

    def leave(self, tokens: int, seconds: float) -> None:
        self.num_running -= 1
        self.running_tokens -= tokens
        if seconds > 0:
            # Those that ran beside it were as fast.
            speed = tokens / seconds * (self.num_running + 1)
            before = speed if self._tokens_per_second is None else self._tokens_per_second
            self._tokens_per_second = _MEMORY * before + (1 - _MEMORY) * speed
        self._admit()

    def retry_seconds(self) -> float:
        """When there will be room, by the speed of late."""
        if not self._tokens_per_second:
            return 1.0
        ahead = self.waiting_tokens + self.running_tokens
        return min(MOST_RETRY_SECONDS, max(1.0, ahead / self._tokens_per_second / 2))

    def fail_waiting(self, error: Exception) -> None:
        for one in self.waiting:
            if not one.turn.done():
                one.turn.set_exception(error)

    async def _wait(self, one: _Waiting) -> None:
        self.waiting.append(one)
        self.waiting_tokens += one.tokens
        try:
            # Not wait_for, which forgets a cancellation that comes with the result.
            async with asyncio.timeout(self.bounds.patience_seconds):
                await one.turn
        except TimeoutError as error:
            if not _has_come(one.turn):
                raise OverloadedError(
                    f"It was not this request's turn within {self.bounds.patience_seconds:g} s.",
                    self.retry_seconds(),
                ) from error
        except asyncio.CancelledError:
            if _has_come(one.turn):
                self.leave(one.tokens, 0.0)
            raise
        finally:
            if one in self.waiting:
                self.waiting.remove(one)
                self.waiting_tokens -= one.tokens
                self._admit()

    def _admit(self) -> None:
        while self.waiting and self._has_room(self.waiting[0].tokens):
            one = self.waiting.popleft()
            self.waiting_tokens -= one.tokens
            if not one.turn.done():
                self._begin(one.tokens)
                one.turn.set_result(None)

    def _has_room(self, tokens: int) -> bool:
        """One that is larger than all that may run still runs, alone."""
        if self.num_running == 0:
            return True
        bounds = self.bounds
        return (
            self.num_running < bounds.running_requests
            and self.running_tokens + tokens <= bounds.running_tokens
        )

    def _begin(self, tokens: int) -> None:
        self.num_running += 1
        self.running_tokens += tokens


def _has_come(turn: "asyncio.Future[None]") -> bool:
    return turn.done() and not turn.cancelled() and turn.exception() is None


class Admission:
    """The queues of a server."""

    def __init__(self, settings: ServerSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """Open for requests."""
        self._clock = clock
        self._queues = {
            RequestClass.INTERACTIVE: _Queue("interactive", settings.interactive, clock),
            RequestClass.EVALUATION: _Queue("evaluation", settings.evaluation, clock),
        }
        self._open = True

    @asynccontextmanager
    async def admit(self, kind: RequestClass, tokens: int) -> AsyncIterator[float]:
        """Wait for a turn and keep it; gives the seconds waited.

        Raises:
            NeverFitsError: it can't be served, however long it waits.
            OverloadedError: the queue is full, or its turn did not come in time.
            DrainingError: the server takes no more.
        """
        queue, arrived = self._queues[kind], self._clock()
        if not self._open:
            raise DrainingError("The server is going down.")
        await queue.enter(tokens)
        begun = self._clock()
        try:
            yield begun - arrived
        finally:
            queue.leave(tokens, self._clock() - begun)

    def close(self) -> None:
        """Take no more, and send away those that wait."""
        self._open = False
        for queue in self._queues.values():
            queue.fail_waiting(DrainingError("The server is going down."))

    def deadline_seconds(self, kind: RequestClass) -> float:
        """How long a request may take altogether."""
        return self._queues[kind].bounds.deadline_seconds

    def num_running(self, kind: RequestClass) -> int:
        """Requests handed to the engine."""
        return self._queues[kind].num_running

    def num_waiting(self, kind: RequestClass) -> int:
        """Requests that have not begun."""
        return len(self._queues[kind].waiting)

    def retry_seconds(self, kind: RequestClass) -> float:
        """When one that was sent away should come again; whole seconds."""
        return math.ceil(self._queues[kind].retry_seconds())

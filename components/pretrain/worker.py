"""What runs inside Ray: one queue for all workers, and the loop of each."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.pretrain.numerics import Numerics, apply
from components.pretrain.queue import SegmentQueue
from components.pretrain.segments import Segment
from parable.artifact import Artifact
from parable.errors import UserError
from parable.progress import Journal
from parable.store import open_store


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker must know; `queue` is the handle of a `QueueActor`."""

    queue: Any
    store: str
    numerics: Numerics


class QueueActor:
    """A `SegmentQueue` that workers wait at. It outlives them: the launcher owns it."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        """Hold the segments that are to be trained."""
        self._queue = SegmentQueue(segments)
        self._changed = asyncio.Condition()
        self._tickets: dict[int, int] = {}

    async def join(self, rank: int) -> int:
        """Begin, or begin anew after a crash: a ticket for `take`; what the rank had before goes back."""
        async with self._changed:
            self._queue.release(rank)
            self._tickets[rank] = self._tickets.get(rank, 0) + 1
            self._changed.notify_all()
            return self._tickets[rank]

    async def take(self, rank: int, ticket: int) -> Segment | None:
        """Wait for a segment; None when there will be no more."""
        async with self._changed:
            # A dead worker may still be waiting here; its successor holds another ticket.
            while self._tickets[rank] == ticket and not self._queue.is_over:
                segment = self._queue.take(rank)
                if segment is not None:
                    return segment
                await self._changed.wait()
            return None

    async def finish(self, artifact: Artifact) -> None:
        """A segment is sealed: its children are ready."""
        async with self._changed:
            self._queue.finish(artifact)
            self._changed.notify_all()

    async def fail(self, message: str) -> None:
        """Something that only a person can mend: every worker stops after its segment."""
        async with self._changed:
            self._queue.fail(message)
            self._changed.notify_all()

    async def failure(self) -> str | None:
        """What `fail` was told first."""
        return self._queue.failure


def work(config: dict[str, Assignment]) -> None:
    """Train segments until there are none: the function that Ray Train calls on every worker."""
    import ray
    import ray.train

    assignment = config["assignment"]
    queue = assignment.queue
    rank = ray.train.get_context().get_world_rank()
    ticket = ray.get(queue.join.remote(rank))
    try:
        apply(assignment.numerics)
        _train_all(assignment, lambda: ray.get(queue.take.remote(rank, ticket)), queue)
    except UserError as error:
        # Trying again would not help, which is what Ray would do with an exception.
        ray.get(queue.fail.remote(str(error)))


def _train_all(assignment: Assignment, take: Any, queue: Any) -> None:
    import ray

    from components.pretrain.training import Sources, train_segment

    store, journal = open_store(assignment.store), Journal.from_environment()
    with tempfile.TemporaryDirectory(prefix="parable-rows-") as folder:
        sources = Sources(store, Path(folder))
        while (segment := take()) is not None:
            artifact = train_segment(store, segment, sources.rows, journal)
            ray.get(queue.finish.remote(artifact))

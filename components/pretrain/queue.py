"""Who trains which segment next: the longest chain first, children as soon as their parent is done."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.pretrain.segments import Segment, chain_tokens
from parable.artifact import Artifact


@dataclass(slots=True)
class _Entry:
    segment: Segment
    chain: int
    state: str = "waiting"
    worker: int | None = None


class SegmentQueue:
    """Segments that are to be trained, handed out to workers by their ranks."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        """Take the missing segments of a plan, parents first; a parent that is not among them is done."""
        chains = chain_tokens(segments)
        self._entries = {segment.artifact: _Entry(segment, chains[segment.artifact]) for segment in segments}
        self._failure: str | None = None

    @property
    def failure(self) -> str | None:
        """Why the run can't go on, in words for a person."""
        return self._failure

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to hand out, now or later."""
        return self._failure is not None or all(entry.state == "done" for entry in self._entries.values())

    def take(self, worker: int) -> Segment | None:
        """The ready segment that the most work waits for, or None where none is ready now."""
        if self._failure is not None:
            return None
        ready = [entry for entry in self._entries.values() if self._is_ready(entry)]
        if not ready:
            return None
        # The first of the longest: the plan's order decides between equals.
        chosen = max(ready, key=lambda entry: entry.chain)
        chosen.state, chosen.worker = "running", worker
        return chosen.segment

    def finish(self, artifact: Artifact) -> None:
        """A segment is sealed."""
        self._entries[artifact].state = "done"

    def fail(self, message: str) -> None:
        """Something that only a person can mend: nothing more is handed out."""
        self._failure = self._failure or message

    def release(self, worker: int) -> None:
        """A worker began anew: what it had goes back, to be taken up from its last checkpoint."""
        for entry in self._entries.values():
            if entry.state == "running" and entry.worker == worker:
                entry.state, entry.worker = "waiting", None

    def _is_ready(self, entry: _Entry) -> bool:
        parent = entry.segment.parent
        return entry.state == "waiting" and (
            parent is None or parent not in self._entries or self._entries[parent].state == "done"
        )

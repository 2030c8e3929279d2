"""Models on their way into the engine's process, while it goes on with others."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parable.inference.decoder import Decoder


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of loading a model: itself, or why it is none."""

    key: str
    outcome: "Decoder | BaseException"


@dataclass(slots=True)
class _Current:
    key: str
    thread: ThreadPoolExecutor
    future: "Future[Decoder]"
    wanted: bool = True


class Loader:
    """Loads models one after another, beside the thread that asks; all calls come from that one.

    One at a time, as transformers' modules can't be imported by two threads at once. A model's thread ends
    with it: each thread that has run operators owns a team of OpenMP threads, and once there are more of
    those than cores, every operator's threads sleep at each barrier instead of spinning. That costs small
    models two thirds of their speed.
    """

    def __init__(self, load: Callable[[Path], "Decoder"]) -> None:
        """Load by a function of a folder."""
        self._load = load
        self._waiting: deque[tuple[str, Path]] = deque()
        self._current: _Current | None = None

    @property
    def busy(self) -> bool:
        """Whether a model is on its way, or has come and was not taken."""
        return self._current is not None

    def ask(self, key: str, folder: Path) -> None:
        """Load this next."""
        self._waiting.append((key, folder))
        if self._current is None:
            self._begin()

    def drop(self, key: str) -> None:
        """Forget a model that was asked for before."""
        self._waiting = deque(pair for pair in self._waiting if pair[0] != key)
        if self._current is not None and self._current.key == key:
            self._current.wanted = False

    def take(self) -> Loaded | None:
        """What has come, if anything has; the next one is begun."""
        current = self._current
        if current is None or not current.future.done():
            return None
        current.thread.shutdown()
        self._current = None
        if self._waiting:
            self._begin()
        if not current.wanted:
            return None
        return Loaded(current.key, current.future.exception() or current.future.result())

    def _begin(self) -> None:
        key, folder = self._waiting.popleft()
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="load")
        self._current = _Current(key, thread, thread.submit(self._load, folder))

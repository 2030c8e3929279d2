"""What is going on, as a journal that anyone may read while it is written.

Progress travels by files, never by a child's output: every process appends events to a file of its own,
and whoever shows progress follows the folder. Clocks, hosts and speeds belong here and in no product.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

FOLDER_VARIABLE = "PARABLE_JOURNAL"


class Journal:
    """Appends events; without a folder it writes nothing, so that no one need ask."""

    def __init__(self, folder: Path | None) -> None:
        """Write under a folder, or nowhere."""
        self._path: Path | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._path = folder / f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}.jsonl"

    @classmethod
    def from_environment(cls) -> "Journal":
        """The journal of the run that this process belongs to."""
        folder = os.environ.get(FOLDER_VARIABLE)
        return cls(Path(folder) if folder else None)

    def event(self, kind: str, **values: Any) -> None:
        """Append one event; `values` is what JSON can hold."""
        if self._path is not None:
            line = {"time": time.time(), "kind": kind, **values}
            with self._path.open("ab", buffering=0) as file:
                file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def progress(self, stage: str, task: str, done: float, total: float, **values: Any) -> None:
        """Say how far a task of a stage is; `done == total` ends it. Units are the stage's own."""
        self.event("progress", stage=stage, task=task, done=done, total=total, **values)


class JournalFollower:
    """Reads a journal folder as it grows; every event once."""

    def __init__(self, folder: Path) -> None:
        """Follow a folder, which need not exist yet."""
        self._folder = folder
        self._offsets: dict[Path, int] = {}

    def new_events(self) -> Iterator[dict[str, Any]]:
        """The events that were completed since the last call, file by file."""
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._offsets[path] = self._offsets.get(path, 0) + len(whole)
            for line in whole.splitlines():
                # A full disk can leave a line that was cut, with another after it.
                event = None
                with suppress(orjson.JSONDecodeError):
                    event = orjson.loads(line)
                if event is not None:
                    yield event

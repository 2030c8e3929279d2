"""Files on their way: written beside their place under a name that says who writes them."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parable.process import is_running, own_name
from parable.store.base import RESERVED

FOREIGN_DAYS = 1.0
"""After so long a file that a process elsewhere was writing counts as left behind."""


def beside(path: Path) -> Path:
    """A new name in the folder of `path`, under which this process may write what will be `path`."""
    return path.with_name(f"{RESERVED}{own_name()}-{secrets.token_hex(4)}")


@contextmanager
def arriving(path: Path) -> Iterator[Path]:
    """A file to write to that becomes `path`, whole, when the block ends well, and goes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def is_left_behind(path: Path) -> bool:
    """Whether the process that wrote a temporary file is gone, so that nobody will finish it."""
    owner = path.name.removeprefix(RESERVED).rpartition("-")[0]
    space, _, process = owner.partition("-")
    if space == own_name().partition("-")[0]:
        pid, _, started = process.partition("-")
        return not is_running(int(pid), int(started)) if (pid + started).isdigit() else True
    try:
        return time.time() - path.stat().st_mtime > FOREIGN_DAYS * 86_400
    except OSError:
        return False

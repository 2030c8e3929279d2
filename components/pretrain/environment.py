"""What a Ray of our own needs around it: variables for a while, and a folder that no one leaves behind."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

FOLDER_PREFIX = "parable-ray-"
LOCK = "in-use"
LONGEST_ROOT = 20
"""A socket's path has at most 107 characters, and Ray's own part of it about 75."""


@contextlib.contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """These environment variables for the length of a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def private_folder(root: Path | None = None) -> Iterator[str]:
    """A folder with a short path, removed at the end of the block.

    Its owner holds a lock on it, so that what a killed process left is known, and removed by the next.
    """
    if root is None:
        root = Path(tempfile.gettempdir())
        if len(str(root)) > LONGEST_ROOT:
            root = Path("/tmp")
    remove_abandoned(root)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=root))
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(root: Path) -> None:
    """Remove the private folders whose owners are gone."""
    for lock in root.glob(f"{FOLDER_PREFIX}*/{LOCK}"):
        # Held by its owner, or another user's: none of ours.
        with contextlib.suppress(OSError), lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)

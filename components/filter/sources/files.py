"""The readable files of a folder or of an S3 prefix, in one stable order."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from components.filter.sources.readers import SUFFIXES
from parable.errors import UserError
from parable.store import ObjectStore


class SourceFile(Protocol):
    """One file of a source; `name` is its place in the source and holds no path of this machine."""

    @property
    def name(self) -> str:
        """Slash-separated, relative to the source."""
        ...

    @property
    def num_bytes(self) -> int:
        """Size at rest."""
        ...

    def local(self) -> AbstractContextManager[Path]:
        """The file on this machine, for the length of a block."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that is here."""

    name: str
    path: Path

    @property
    def num_bytes(self) -> int:
        """Size at rest."""
        return self.path.stat().st_size

    def local(self) -> AbstractContextManager[Path]:
        """The file itself."""
        return contextlib.nullcontext(self.path)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An object of a store."""

    name: str
    num_bytes: int
    store: ObjectStore
    key: str

    @contextlib.contextmanager
    def local(self) -> Iterator[Path]:
        """A copy, removed after use."""
        with tempfile.TemporaryDirectory(prefix="parable-") as folder:
            path = Path(folder) / Path(self.name).name
            self.store.get_file(self.key, path)
            yield path


def local_files(source: str) -> tuple[LocalFile, ...]:
    """A file, or the readable files under a folder, by name; hidden ones are left out.

    Raises:
        UserError: there is nothing there, or nothing that can be read.
    """
    root = Path(source.removeprefix("file://")).expanduser()
    if root.is_file():
        if not root.name.endswith(SUFFIXES):
            raise UserError(f"The source {source} is no text that can be read: give {', '.join(SUFFIXES)}.")
        return (LocalFile(root.name, root),)
    if not root.is_dir():
        raise UserError(
            f"The source {source} does not exist here ({root.absolute()}). Give a file, a folder, "
            "s3://bucket/prefix or builtin:python as the corpus' source."
        )
    found, others = [], 0
    for parent, folders, names in os.walk(root):
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        for name in names:
            if name.endswith(SUFFIXES) and not name.startswith("."):
                path = Path(parent, name)
                found.append(LocalFile(path.relative_to(root).as_posix(), path))
            else:
                others += 1
    if not found:
        raise _nothing(source, others)
    return tuple(sorted(found, key=lambda file: file.name))


def stored_files(source: str, store: ObjectStore) -> tuple[StoredFile, ...]:
    """The readable objects of a store, by key.

    Raises:
        UserError: there are none, or the store can't be reached.
    """
    listed = list(store.list())
    found = [
        StoredFile(info.key, info.num_bytes, store, info.key)
        for info in listed
        if info.key.endswith(SUFFIXES) and not any(part.startswith(".") for part in info.key.split("/"))
    ]
    if not found:
        raise _nothing(source, len(listed))
    return tuple(sorted(found, key=lambda file: file.name))


def _nothing(source: str, num_others: int) -> UserError:
    return UserError(
        f"The source {source} holds no file that can be read: {num_others} others, none of them "
        f"{', '.join(SUFFIXES)}. Give a folder or prefix with such files."
    )

"""From the `source` of a recipe's text corpus to its files and their texts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import xxhash

from components.filter.signals.registry import unknown_name
from components.filter.sources.builtin import LICENSE, python_files, read_python
from components.filter.sources.files import SourceFile, local_files, stored_files
from components.filter.sources.readers import SUFFIXES, read_texts
from parable.errors import UserError
from parable.recipe import TextCorpus
from parable.store import open_store

BUILTIN = "builtin:"
PYTHON = "builtin:python"
HASH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """Files in a stable order, how each is read, and the license that a recipe need not state."""

    files: tuple[SourceFile, ...]
    read: Callable[[Path, str], Iterator[str]]
    prefix: str = ""
    """What stands before a file's name in a document's `source`."""
    license: str = "unknown"

    @property
    def num_bytes(self) -> int:
        """Bytes at rest in all files."""
        return sum(file.num_bytes for file in self.files)

    def texts(self, file: SourceFile) -> Iterator[str]:
        """The texts of one file, in order; raises as `read_texts` does."""
        with file.local() as path:
            yield from self.read(path, file.name)

    def content_hash(self) -> str:
        """A hash of every file's name and bytes: what enters a corpus' identity in place of the path.

        Raises:
            UserError: a file can't be read.
        """
        total = xxhash.xxh3_128()
        for file in self.files:
            with file.local() as path:
                total.update(f"{file.name}\0{_hash(path, file.name)}\n".encode())
        return total.hexdigest()


def open_source(spec: TextCorpus) -> Source:
    """The source of a text corpus.

    Raises:
        UserError: it has no such built-in, path, bucket, or no file that can be read.
    """
    check_source(spec.source, at="source")
    if spec.source == PYTHON:
        return Source(python_files(), read_python, f"{PYTHON}/", LICENSE)
    read = partial(read_texts, text_column=spec.text_column)
    if spec.source.startswith("s3://"):
        return Source(_stored(spec.source), read)
    return Source(local_files(spec.source), read)


def check_source(source: str, *, at: str) -> None:
    """Raise `UserError` for what is wrong without looking into files or over the network."""
    if source.startswith(BUILTIN):
        if source != PYTHON:
            raise unknown_name(source, [PYTHON], at=at, what="built-in source")
    elif "://" not in source and not Path(source).expanduser().exists():
        raise UserError(
            f"{at} names {source!r}, which does not exist here ({Path(source).expanduser().absolute()}). "
            f"Give a file, a folder, s3://bucket/prefix or {PYTHON}."
        )
    elif "://" not in source:
        try:
            local_files(source)
        except UserError as error:
            raise UserError(f"{at}: {error}") from error
    elif "://" in source and not source.startswith(("s3://", "file://")):
        raise UserError(f"{at} names {source!r}: give a file, a folder, s3://bucket/prefix or {PYTHON}.")


def _stored(address: str) -> tuple[SourceFile, ...]:
    folder, _, name = address.rstrip("/").rpartition("/")
    if name.endswith(SUFFIXES) and len(folder) > len("s3://"):
        files = stored_files(address, open_store(folder))
        return tuple(file for file in files if file.name == name) or stored_files(
            address, open_store(address)
        )
    return stored_files(address, open_store(address))


def _hash(path: Path, name: str) -> str:
    state = xxhash.xxh3_128()
    try:
        with path.open("rb") as file:
            while data := file.read(HASH_BYTES):
                state.update(data)
    except OSError as error:
        raise UserError(
            f"The file {name} can't be read ({error.strerror}). Check its permissions."
        ) from error
    return state.hexdigest()

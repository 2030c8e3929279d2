"""What every stage may ask of the place where products rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

RESERVED = ".writing-"
"""Begins the names of files that are not finished; no key may have it."""


class NotFoundError(KeyError):
    """No object has this key."""


class AlreadyExistsError(KeyError):
    """An object has this key already, and the put was `if_absent`."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object as the store describes it."""

    key: str
    num_bytes: int
    modified_seconds: float
    """Seconds since the epoch, by the store's clock."""


@runtime_checkable
class ObjectStore(Protocol):
    """Whole objects under slash-separated keys.

    A put is atomic: readers see the old object, the new one, or none, never a part. Keys are relative,
    without empty, `.` or `..` parts. Every method raises `UserError` when the store can't be reached
    or refuses the credentials, after bounded retries.
    """

    @property
    def uri(self) -> str:
        """The address that `open_store` opens again; holds no credentials."""
        ...

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        """Write a whole object; with `if_absent`, raise `AlreadyExistsError` instead of replacing one."""
        ...

    def put_file(self, key: str, path: Path) -> None:
        """Write a whole object from a local file, without holding it in memory."""
        ...

    def get(self, key: str) -> bytes:
        """Read a whole object; raise `NotFoundError` when there is none."""
        ...

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Read at most `length` bytes from `start`, fewer or none past the end; raises as `get` does."""
        ...

    def get_file(self, key: str, path: Path) -> None:
        """Copy a whole object to a local file, atomically; raise `NotFoundError` when there is none."""
        ...

    def stat(self, key: str) -> ObjectInfo | None:
        """Describe an object, or return None."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Objects whose key starts with `prefix`, in the order of their keys."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        ...


def check_key(key: str) -> str:
    """Return the key if it is a clean relative path, else raise `ValueError`."""
    parts = key.split("/")
    if (
        any(part in ("", ".", "..") or part.startswith(RESERVED) for part in parts)
        or "\\" in key
        or "\0" in key
    ):
        raise ValueError(f"{key!r} is no object key: use relative, slash-separated names")
    return key


def check_prefix(prefix: str) -> str:
    """Return what may begin a key, with or without a slash at its end, else raise `ValueError`."""
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix


def check_range(start: int, length: int) -> None:
    """Raise `ValueError` for a range that begins or ends before the object does."""
    if start < 0 or length < 0:
        raise ValueError(f"no range has the start {start} and the length {length}")

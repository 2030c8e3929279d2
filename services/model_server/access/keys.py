"""API keys from a file that may change at any time, as a mounted secret does.

    - name: alice
      scopes: [infer, evaluate]
      key: at-least-sixteen-characters
    - name: ci
      scopes: [infer, evaluate, admin]
      sha256: <hexadecimal SHA-256 of the key>

A name may stand there twice, so that an old key and a new one are the same owner's while they overlap.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from parable.errors import UserError
from services.model_server.access.scopes import Caller, Scope

LOOK_SECONDS = 0.5
"""How old the keys in use may be."""
logger = logging.getLogger(__name__)


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    key: str | None = Field(default=None, min_length=16, pattern="^[!-~]*$")
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _one_of_both(self) -> "_Entry":
        if (self.key is None) == (self.sha256 is None):
            raise ValueError("give either key or sha256")
        return self


_ENTRIES = TypeAdapter(list[_Entry])


@dataclass(frozen=True, slots=True)
class _Key:
    digest: bytes
    caller: Caller


def read_keys(path: Path) -> tuple[_Key, ...]:
    """The keys of a file.

    Raises:
        UserError: it can't be read, holds no keys, or an entry is wrong; no part of a key is in the message.
    """
    return _parse(_read(path), path)


class KeyRing:
    """The keys in force: those of the file as it was at most half a second ago.

    A file that is broken or missing while the server runs changes nothing, and is complained of in the log: a
    slip of the pen locks nobody out.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file.

        Raises:
            UserError: see `read_keys`.
        """
        self._path = path
        self._clock = clock
        # Read once: a file that changes in between would be taken for one that is known.
        self._content = _read(path)
        self._keys = _parse(self._content, path)
        self._looked = clock()

    def caller(self, key: str) -> Caller | None:
        """Whose key this is; takes as long for a wrong one as for a right one."""
        self._look()
        given = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        found = None
        for known in self._keys:
            if hmac.compare_digest(known.digest, given):
                found = known.caller
        return found

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        try:
            content = self._path.read_bytes()
            if content == self._content:
                return
            self._content = content
            self._keys = _parse(content, self._path)
        except (OSError, UserError) as error:
            logger.error("the keys stay as they were: %s", error)
        else:
            logger.info("%d keys read from %s", len(self._keys), self._path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"The keys file {path} can't be read: {error.strerror}.") from error


def _parse(content: bytes, path: Path) -> tuple[_Key, ...]:
    try:
        # JSON is YAML too.
        plain = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError) as error:
        # A date that is none is a ValueError, as is what is no UTF-8.
        raise UserError(f"The keys file {path} is neither YAML nor JSON.") from error
    try:
        entries = _ENTRIES.validate_python(plain)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"The keys file {path} is wrong at {place}: {first['msg']}. It lists entries with a name, scopes "
            f"({', '.join(Scope)}) and either key (16 characters or more, ASCII without spaces) or sha256."
        ) from error
    if not entries:
        raise UserError(f"The keys file {path} holds no key.")
    return tuple(_Key(_digest(entry), Caller(entry.name, entry.scopes)) for entry in entries)


def _digest(entry: _Entry) -> bytes:
    if entry.sha256 is not None:
        return bytes.fromhex(entry.sha256)
    assert entry.key is not None
    return hashlib.sha256(entry.key.encode()).digest()

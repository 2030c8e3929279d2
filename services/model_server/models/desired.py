"""What an alias ought to mean, as objects in the store on which all replicas agree.

Each change of an alias is a numbered object under `serving/aliases/<alias>/`; the highest number holds.
Whoever changes it writes the next number, which only one can (`if_absent`), so nobody overwrites a change
that it has not seen.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from parable.canonical import readable_json
from parable.store import AlreadyExistsError, NotFoundError, ObjectStore

PREFIX = "serving/aliases/"
NUM_KEPT = 64
"""Older changes are removed."""
logger = logging.getLogger(__name__)


class Version(BaseModel):
    """A checkpoint by the name that never means another, and by the one that people know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pinned: str
    name: str


class Change(BaseModel):
    """What an alias means from one change to the next.

    Attributes:
        number: Counts the alias's changes, from 1.
        target: What it means.
        previous: What it meant before.
        is_pinned: Whether newer checkpoints are left alone.
        why: What brought it about.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    target: Version
    previous: Version | None
    is_pinned: bool
    why: Literal["newer", "reload", "rollback"]


class OvertakenError(Exception):
    """Another replica changed the alias first."""


class DesiredVersions:
    """The newest change of each alias. Not for two threads at once."""

    def __init__(self, store: ObjectStore) -> None:
        """Nothing is read yet."""
        self._store = store
        self._newest: dict[str, Change] = {}

    def read(self) -> Mapping[str, Change]:
        """Read what has changed: one listing, and one object for each alias that has moved.

        Raises:
            UserError: the store can't be reached.
        """
        highest: dict[str, int] = defaultdict(int)
        for info in self._store.list(PREFIX):
            alias, _, file = info.key.removeprefix(PREFIX).partition("/")
            number = file.removesuffix(".json")
            if number.isdigit():
                highest[alias] = max(highest[alias], int(number))
        found = {}
        for alias, last in highest.items():
            known = self._newest.get(alias)
            change = known if known is not None and known.number == last else self._read(alias, last)
            if change is not None:
                found[alias] = change
        self._newest = found
        return found

    def write(self, alias: str, change: Change) -> None:
        """Make the change that follows the one that was read last.

        Raises:
            OvertakenError: there is one with this number already, or a later one.
            UserError: the store can't be reached.
        """
        try:
            data = readable_json(change.model_dump(mode="json"))
            self._store.put(_key(alias, change.number), data, if_absent=True)
        except AlreadyExistsError as error:
            raise OvertakenError from error
        # A number that was removed long ago can be written again; then it is not the highest.
        newest = self.read().get(alias)
        if newest is None or newest.number > change.number:
            raise OvertakenError
        if change.number > NUM_KEPT:
            self._store.delete(_key(alias, change.number - NUM_KEPT))

    def _read(self, alias: str, number: int) -> Change | None:
        try:
            return Change.model_validate_json(self._store.get(_key(alias, number)))
        except NotFoundError:
            return None
        except ValidationError as error:
            logger.error("%s is passed over: %s", _key(alias, number), error)
            return None


def _key(alias: str, number: int) -> str:
    return f"{PREFIX}{alias}/{number:06d}.json"

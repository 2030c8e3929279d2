"""Moves aliases from one checkpoint to the next, with neither a gap nor a mixture.

The next one is loaded and asked a question beside the one that is served; then the alias is changed in the
store, and here in one step. Requests that are under way finish on the weights they began with.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from parable.errors import UserError
from services.model_server.models.base import ModelError, ModelUnavailableError, Rollout, UnknownModelError
from services.model_server.models.desired import Change, OvertakenError, Version
from services.model_server.models.index import Index, Named
from services.model_server.models.residence import Residence
from services.model_server.models.resident import Resident

NUM_ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.5
MOST_PAUSE_SECONDS = 60.0
PAUSES = 10
"""A move that fails is not tried again for so many times as long as it took."""
logger = logging.getLogger(__name__)
Record = Callable[[str, Change], Awaitable[None]]
"""Makes a change of an alias in the store; raises `OvertakenError`, or `UserError` in an outage."""


@dataclass(slots=True, eq=False)
class _Alias:
    """An alias that is in use here; the lock is for whoever moves it."""

    name: str
    current: Named | None = None
    previous: Named | None = None
    trouble: str | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pause: float = 0.0
    not_before: float = 0.0

    def wait(self, took: float) -> None:
        """Try again later, the longer a try takes: a drain that fails makes requests wait."""
        self.pause = min(MOST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, 2 * self.pause))
        self.not_before = time.monotonic() + max(self.pause, PAUSES * took)


class Rollouts:
    """Every alias in use, and what it means. For one event loop."""

    def __init__(self, residence: Residence, record: Record, look: Callable[[], Awaitable[None]]) -> None:
        """Load with `residence`, record with `record`; `look` looks through the store and calls `update`."""
        self._residence = residence
        self._record = record
        self._look = look
        self._aliases: dict[str, _Alias] = {}
        self._index = Index()
        self._changes: dict[str, Change] = {}
        self.protected: str | None = None
        """The alias whose model makes room for its successor only."""
        self.revision = 0
        """Grows whenever an alias may have come to mean something else."""

    def update(self, index: Index, changes: Mapping[str, Change]) -> None:
        """Take what was found in the store, the changes read before the index."""
        self._index, self._changes = index, dict(changes)
        self.revision += 1

    @asynccontextmanager
    async def lease(self, alias: str) -> AsyncIterator[tuple[Named, Resident]]:
        """The model that an alias means now, for the length of a block.

        Raises:
            UnknownModelError: it means nothing.
            ModelUnavailableError: what it means can't be loaded, and it meant nothing before.
        """
        state = self._aliases.setdefault(alias, _Alias(alias))
        if not self._is_hot(state):
            async with state.lock:
                if not self._is_hot(state):
                    await self._advance(state)
        current = state.current
        assert current is not None
        async with self._residence.lease(current.checkpoint) as resident:
            yield current, resident

    def meaning(self, alias: str) -> Named:
        """What an alias means here, or would mean at its first use.

        Raises:
            ModelError: it means nothing that is in the store.
        """
        state = self._aliases.get(alias)
        return self._target(alias) if state is None or state.current is None else state.current

    def waiting(self) -> list[str]:
        """Aliases in use that are to mean another checkpoint, and that nobody is moving.

        Those whose model is unloaded move when they are used again.
        """
        return [
            state.name
            for state in self._aliases.values()
            if self._is_hot(state)
            and not state.lock.locked()
            and time.monotonic() >= state.not_before
            and not self._is_there(state)
        ]

    async def advance(self, alias: str) -> None:
        """Move an alias in use to what is wanted; where that fails, it stays, and its status says why."""
        state = self._aliases[alias]
        async with state.lock:
            began = time.monotonic()
            try:
                await self._advance(state)
            finally:
                if state.trouble is not None:
                    state.wait(time.monotonic() - began)

    async def move(
        self, alias: str, target: Named, *, is_pinned: bool, why: Literal["reload", "rollback"]
    ) -> Rollout:
        """Move an alias everywhere: here now, and on other replicas when they look.

        Raises:
            ModelUnavailableError: the target can't be served, or the store does not answer; nothing moved.
        """
        state = self._aliases.setdefault(alias, _Alias(alias))
        async with state.lock, self._bringing(state, target):
            for _ in range(NUM_ATTEMPTS):
                try:
                    await self._change(state, target, is_pinned=is_pinned, why=why)
                    break
                except OvertakenError:
                    await self._look_again(alias)
            else:
                raise ModelUnavailableError(f"{alias} is being moved by others at this moment; ask again.")
            self._swap(state, target)
        return self.status(alias)

    async def rollback(self, alias: str) -> Rollout:
        """Move an alias to what it meant before.

        Raises:
            UnknownModelError: it never meant anything else.
            ModelUnavailableError: as `move` does.
        """
        change, state = self._changes.get(alias), self._aliases.get(alias)
        previous = state.previous if state is not None else None
        if change is not None and change.previous is not None:
            previous = self._named(change.previous)
        if previous is None:
            raise UnknownModelError(f"{alias} has nothing to go back to: it has meant one checkpoint only.")
        return await self.move(alias, previous, is_pinned=True, why="rollback")

    def status(self, alias: str) -> Rollout:
        """Where an alias stands."""
        change, state = self._changes.get(alias), self._aliases.get(alias)
        trouble = state.trouble if state is not None else None
        try:
            desired = self._target(alias).name
        except ModelError as error:
            desired, trouble = change.target.name if change is not None else "", str(error)
        before = state.previous if state is not None else None
        previous = change.previous.name if change is not None and change.previous is not None else None
        return Rollout(
            alias=alias,
            number=0 if change is None else change.number,
            desired=desired,
            pinned=change is not None and change.is_pinned,
            current=None if state is None or state.current is None else state.current.name,
            previous=previous or (None if before is None else before.name),
            trouble=trouble,
        )

    def statuses(self) -> tuple[Rollout, ...]:
        """Of every alias that is in use here or was moved anywhere."""
        return tuple(self.status(alias) for alias in dict.fromkeys((*self._aliases, *self._changes)))

    def _is_hot(self, state: _Alias) -> bool:
        return state.current is not None and self._residence.is_loaded(state.current.checkpoint)

    def _is_there(self, state: _Alias) -> bool:
        try:
            is_there = _same(state.current, self._target(state.name))
        except ModelError as error:
            state.trouble = str(error)
            return True
        if is_there:
            state.trouble = None
        return is_there

    def _target(self, alias: str) -> Named:
        """What an alias ought to mean: what it is pinned to, else the newest."""
        change = self._changes.get(alias)
        if change is not None and change.is_pinned:
            return self._named(change.target)
        newest = self._index.aliases.get(alias)
        if newest is None:
            return self._index.find(alias)  # Which says what there is.
        return self._index.listed[newest]

    def _named(self, version: Version) -> Named:
        found = self._index.pinned.get(version.pinned)
        if found is None:
            raise ModelUnavailableError(f"{version.name} ({version.pinned}) is no longer in the store.")
        return Named(version.name, found.checkpoint)

    async def _advance(self, state: _Alias) -> None:
        """Go to what is wanted; where that fails, stay, and raise only where nothing was there before."""
        try:
            await self._follow(state, self._target(state.name))
        except OvertakenError:
            return  # The next look shows where it goes.
        except ModelError as error:
            state.trouble = str(error)
            if state.current is None:
                state.current = self._proven(state.name)
            if state.current is None:
                raise
            logger.warning("%s stays at %s: %s", state.name, state.current.name, error)
            await self._residence.load(state.current.checkpoint)

    def _proven(self, alias: str) -> Named | None:
        """What some replica served last under an alias that follows the newest."""
        change = self._changes.get(alias)
        if change is None or change.is_pinned:
            return None
        try:
            return self._named(change.target)
        except ModelError:
            return None

    async def _follow(self, state: _Alias, target: Named) -> None:
        async with self._bringing(state, target):
            if self._is_news(state, target):
                try:
                    await self._change(state, target, is_pinned=False, why="newer")
                except (OvertakenError, ModelError):
                    # The next look tells more. Who has nothing yet serves what was asked for all the same.
                    if state.current is not None:
                        raise
            self._swap(state, target)

    def _is_news(self, state: _Alias, target: Named) -> bool:
        """Whether other replicas are to be told that the alias has moved."""
        change = self._changes.get(state.name)
        if change is None:
            return state.current is not None and not _same(state.current, target)
        return not change.is_pinned and change.target.pinned != target.checkpoint.pinned

    @asynccontextmanager
    async def _bringing(self, state: _Alias, target: Named) -> AsyncIterator[None]:
        """Have the target loaded for the length of a block."""
        old = None if state.current is None or _same(state.current, target) else state.current.checkpoint
        async with self._residence.lease(target.checkpoint, in_place_of=old):
            yield

    async def _change(
        self, state: _Alias, target: Named, *, is_pinned: bool, why: Literal["newer", "reload", "rollback"]
    ) -> None:
        known = self._changes.get(state.name)
        before = _version(state.current) if state.current is not None else known.target if known else None
        if before is not None and before.pinned == target.checkpoint.pinned:
            before = known.previous if known is not None else None
        change = Change(
            number=1 if known is None else known.number + 1,
            target=_version(target),
            previous=before,
            is_pinned=is_pinned,
            why=why,
        )
        try:
            await self._record(state.name, change)
        except UserError as error:
            raise _not_noted(state.name) from error
        self._changes[state.name] = change

    async def _look_again(self, alias: str) -> None:
        try:
            await self._look()
        except UserError as error:
            raise _not_noted(alias) from error

    def _swap(self, state: _Alias, target: Named) -> None:
        if not _same(state.current, target):
            logger.info("%s is now %s (%s)", state.name, target.name, target.checkpoint.digest)
            state.previous, state.current = state.current, target
            self.revision += 1
        state.trouble, state.pause = None, 0.0
        if state.name == self.protected:
            self._residence.protected = target.checkpoint.content


def _same(one: Named | None, other: Named) -> bool:
    return one is not None and one.checkpoint.pinned == other.checkpoint.pinned


def _not_noted(alias: str) -> ModelUnavailableError:
    return ModelUnavailableError(f"{alias} can't be moved now: the object store took no note of it.")


def _version(named: Named) -> Version:
    return Version(pinned=named.checkpoint.pinned, name=named.name)

"""The models of an object store, as the rest of the server asks for them."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from parable.errors import UserError
from parable.store import ObjectStore
from services.model_server.engine.base import Engine
from services.model_server.models.base import (
    ModelDescriptor,
    ModelError,
    Rollout,
    ServedModel,
    UnknownModelError,
)
from services.model_server.models.desired import Change, DesiredVersions
from services.model_server.models.finding import Finder
from services.model_server.models.folders import ModelFolders
from services.model_server.models.index import Index, Named
from services.model_server.models.names import ArmName, parse_name
from services.model_server.models.residence import Residence
from services.model_server.models.resident import Limits, Resident
from services.model_server.models.rollout import Rollouts
from services.model_server.store_threads import StoreThreads

REST = 10
"""Looking takes at most one part in so many of the time."""
MOST_REST_SECONDS = 60.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and how models are kept.

    Attributes:
        cache: Folder for verified copies; they are this process's own and go when it ends.
        cache_bytes: What they may take.
        limits: Of memory.
        poll_seconds: How often the store is looked through.
    """

    cache: Path
    limits: Limits
    cache_bytes: int = 8 * 2**30
    poll_seconds: float = 5.0


class StoredModels:
    """See `Models`."""

    def __init__(
        self, store: ObjectStore, engine: Engine, place: Place, *, default: str | None = None
    ) -> None:
        """Serve a store's checkpoints through an engine, which somebody else starts and stops.

        Args:
            store: with sealed checkpoints; what is written there lies under `serving/`.
            engine: loads and runs them.
            place: where and how they are kept.
            default: what a request without a name means; None takes the newest run's baseline.
        """
        self._place = place
        self._finder = Finder(store)
        self._versions = DesiredVersions(store)
        folders = ModelFolders(store, place.cache, limit_bytes=place.cache_bytes)
        self._residence = Residence(engine, folders, place.limits, has_store=lambda: self._has_store)
        self._rollouts = Rollouts(self._residence, self._record, self._look)
        self._index = Index()
        self._has_store = True
        self._default = default
        self._ready = False
        # One thread: what it runs need not be fit for several.
        self._thread = StoreThreads(1, "watch store")
        self._watcher: asyncio.Task[None] | None = None
        self._moves: dict[str, asyncio.Task[None]] = {}
        self._said: dict[str, str] = {}
        self._known_aliases: tuple[int, Mapping[str, tuple[str, ...]]] = (-1, {})

    async def start(self) -> None:
        """See `Models.start`."""
        with suppress(UserError):
            await self._look()
        self._watcher = asyncio.create_task(self._watch(), name="watch the store")
        self._watcher.add_done_callback(_report)

    async def stop(self) -> None:
        """See `Models.stop`."""
        tasks = [task for task in (self._watcher, *self._moves.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._residence.close()
        self._thread.end()

    @property
    def default(self) -> str | None:
        """See `Models.default`."""
        return self._default

    @property
    def ready(self) -> bool:
        """See `Models.ready`."""
        return self._ready

    def list(self) -> tuple[ModelDescriptor, ...]:
        """See `Models.list`."""
        aliases = self._aliases()
        found = [self._descriptor(named, aliases) for named in self._index.listed.values()]
        if self._default is not None:
            with suppress(ModelError):
                first = self.describe(self._default).name
                found.sort(key=lambda one: one.name != first)
        return tuple(found)

    def describe(self, name: str) -> ModelDescriptor:
        """See `Models.describe`."""
        return self._descriptor(self._resolve(name), self._aliases())

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[ServedModel]:
        """See `Models.lease`."""
        alias = self._index.alias_of(name)
        if alias is None:
            named = self._index.find(name)
            async with self._residence.lease(named.checkpoint) as resident:
                yield self._served(named, resident)
        else:
            async with self._rollouts.lease(alias) as (named, resident):
                yield self._served(named, resident)

    async def reload(self, alias: str, target: str | None = None) -> Rollout:
        """See `Models.reload`."""
        self._residence.forget_refusals()
        with suppress(UserError):
            await self._look()
        moved = self._alias(alias)
        named = self._index.find(moved) if target is None else self._resolve(target)
        return await self._rollouts.move(moved, named, is_pinned=target is not None, why="reload")

    async def rollback(self, alias: str) -> Rollout:
        """See `Models.rollback`."""
        with suppress(UserError):
            await self._look()
        return await self._rollouts.rollback(self._alias(alias))

    def desired(self) -> tuple[Rollout, ...]:
        """See `Models.desired`."""
        return self._rollouts.statuses()

    def _alias(self, name: str) -> str:
        alias = self._index.alias_of(name)
        if alias is None:
            raise UnknownModelError(
                f"{name} always means one checkpoint: give an alias, for instance {name.partition('@')[0]}."
            )
        return alias

    def _resolve(self, name: str) -> Named:
        alias = self._index.alias_of(name)
        return self._index.find(name) if alias is None else self._rollouts.meaning(alias)

    async def _watch(self) -> None:
        """Do what follows from what was found, and look again, for ever."""
        pause = self._place.poll_seconds
        while True:
            self._act()
            await asyncio.sleep(pause)
            began = time.monotonic()
            with suppress(UserError):
                await self._look()
            pause = self._place.poll_seconds
            if self._has_store:
                pause = min(MOST_REST_SECONDS, max(pause, REST * (time.monotonic() - began)))

    async def _look(self) -> None:
        """Look through the store.

        Raises:
            UserError: it does not answer; what was found before holds on.
        """
        loop = asyncio.get_running_loop()
        try:
            changes, index = await loop.run_in_executor(self._thread, self._look_now)
        except UserError as error:
            if self._has_store:
                logger.warning("the store can't be looked through, what is loaded goes on: %s", error)
            self._has_store = False
            raise
        if not self._has_store:
            logger.info("the store answers again")
        self._has_store = True
        self._index = index
        self._rollouts.update(index, changes)
        if self._default is None:
            self._default = index.default

    def _look_now(self) -> tuple[dict[str, Change], Index]:
        # In this order no change names a checkpoint that the index is too old to know.
        changes = dict(self._versions.read())
        return changes, self._finder.find()

    async def _record(self, alias: str, change: Change) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._versions.write, alias, change)

    def _act(self) -> None:
        """Load the default model, and move the aliases that are to mean something else."""
        if not self._ready and self._default is not None:
            self._in_background("", self._warm)
        for alias in self._rollouts.waiting():
            self._in_background(alias, partial(self._rollouts.advance, alias))

    def _in_background(self, name: str, act: Callable[[], Coroutine[None, None, None]]) -> None:
        """Do something that may take long, unless it is being done; what fails is tried again later."""

        async def run() -> None:
            try:
                await act()
            except ModelError as error:
                if self._said.get(name) != str(error):
                    logger.warning("%s", error)
                self._said[name] = str(error)
            finally:
                del self._moves[name]

        if name not in self._moves:
            self._moves[name] = asyncio.create_task(run(), name=f"move {name or 'the default model'}")

    async def _warm(self) -> None:
        assert self._default is not None
        self._rollouts.protected = self._index.alias_of(self._default)
        async with self.lease(self._default) as model:
            self._residence.protected = model.key
        self._ready = True

    def _aliases(self) -> Mapping[str, tuple[str, ...]]:
        """The aliases that mean each checkpoint now, by its unchanging name."""
        revision, known = self._known_aliases
        if revision == self._rollouts.revision:
            return known
        shorts = {alias: short for short, alias in self._index.shorts.items()}
        found: dict[str, list[str]] = defaultdict(list)
        for alias in self._index.aliases:
            with suppress(ModelError):
                named = self._rollouts.meaning(alias)
                found[named.name] += [alias, *([shorts[alias]] if alias in shorts else [])]
        known = {name: tuple(aliases) for name, aliases in found.items()}
        self._known_aliases = self._rollouts.revision, known
        return known

    def _descriptor(self, named: Named, aliases: Mapping[str, tuple[str, ...]]) -> ModelDescriptor:
        checkpoint, name = named.checkpoint, parse_name(named.name)
        arm = name if isinstance(name, ArmName) else None
        return ModelDescriptor(
            name=named.name,
            aliases=aliases.get(named.name, ()),
            recipe=None if arm is None else arm.recipe,
            arm=None if arm is None else arm.arm,
            seed=None if arm is None else arm.seed,
            step=checkpoint.step,
            created=int(checkpoint.created),
            digest=checkpoint.digest,
            artifact=checkpoint.artifact.key,
            parents=checkpoint.parents,
            max_length=checkpoint.max_length,
            loaded=self._residence.is_loaded(checkpoint),
        )

    def _served(self, named: Named, resident: Resident) -> ServedModel:
        checkpoint = named.checkpoint
        return ServedModel(
            name=named.name,
            aliases=self._aliases().get(named.name, ()),
            pinned=checkpoint.pinned,
            key=resident.key,
            digest=checkpoint.digest,
            step=checkpoint.step,
            created=int(checkpoint.created),
            facts=resident.facts,
            codec=resident.texts.codec,
            chat_template=resident.texts.chat_template,
            parents=checkpoint.parents,
        )


def _report(watcher: "asyncio.Task[None]") -> None:
    if not watcher.cancelled() and (error := watcher.exception()) is not None:
        logger.critical("nobody watches the store any longer", exc_info=error)

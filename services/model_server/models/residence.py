"""Which models are loaded: within a budget of memory, each once, and none taken away from who uses it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from services.model_server.engine.base import (
    Engine,
    EngineError,
    ModelFacts,
    ModelFolder,
    RequestRefusedError,
)
from services.model_server.models.base import ModelUnavailableError, NoRoomError
from services.model_server.models.canary import check_canary
from services.model_server.models.checkpoint import Checkpoint
from services.model_server.models.folders import CheckpointRefusedError, ModelFolders, refusal
from services.model_server.models.resident import Limits, Resident
from services.model_server.models.texts import read_texts
from services.model_server.store_threads import StoreThreads

REFUSAL_SECONDS = 300.0
"""How long a refused checkpoint is not looked at again, unless it is asked for."""
END_SECONDS = 2.0
"""How long the end of the server waits for a file that is on its way."""
logger = logging.getLogger(__name__)


class Residence:
    """Loads models, and unloads the least recently used of those that nobody uses. For one event loop."""

    def __init__(
        self, engine: Engine, folders: ModelFolders, limits: Limits, *, has_store: Callable[[], bool]
    ) -> None:
        """Load into an engine what `folders` fetches; without a store nothing is fetched."""
        self._engine = engine
        self._folders = folders
        self._limits = limits
        self._has_store = has_store
        self._residents: dict[str, Resident] = {}
        self._refusals: dict[str, tuple[float, CheckpointRefusedError]] = {}
        self._changed = asyncio.Event()
        self._making_room = asyncio.Lock()
        self._loading = asyncio.Lock()
        self._threads = StoreThreads(4, "fetch model")
        self.protected: str | None = None
        """Key of the model that never makes room for another, save for its successor."""

    def is_loaded(self, checkpoint: Checkpoint) -> bool:
        """Whether it can be leased without a wait."""
        resident = self._residents.get(checkpoint.content)
        return resident is not None and self._is_there(resident) and not resident.closed

    def forget_refusals(self) -> None:
        """Look again at what was refused."""
        self._refusals.clear()

    async def load(self, checkpoint: Checkpoint, *, in_place_of: Checkpoint | None = None) -> None:
        """Load a model, unless it is loaded.

        Args:
            checkpoint: what is loaded.
            in_place_of: what is drained and unloaded where the two don't fit side by side.

        Raises:
            ModelUnavailableError: it can't be loaded, with the reason.
        """
        async with self.lease(checkpoint, in_place_of=in_place_of):
            pass

    @asynccontextmanager
    async def lease(
        self, checkpoint: Checkpoint, *, in_place_of: Checkpoint | None = None
    ) -> AsyncIterator[Resident]:
        """A loaded model that stays until the block ends. Arguments and errors are those of `load`."""
        resident = await self._find(checkpoint, in_place_of)
        resident.leases += 1
        try:
            assert resident.loading is not None
            if not resident.is_loaded:
                # Others may wait for the same: that this one gives up must not end it.
                await asyncio.shield(resident.loading)
            resident.used = time.monotonic()
            yield resident
        finally:
            resident.leases -= 1
            resident.used = time.monotonic()
            self._tell()

    async def close(self) -> None:
        """Stop loading, and remove the files; the engine is stopped by its owner."""
        loading = [resident.loading for resident in self._residents.values() if resident.loading]
        for task in loading:
            task.cancel()
        await asyncio.gather(*loading, return_exceptions=True)
        self._residents.clear()
        await asyncio.to_thread(self._threads.end, END_SECONDS)
        self._folders.remove()

    async def _find(self, checkpoint: Checkpoint, in_place_of: Checkpoint | None) -> Resident:
        """The resident of a checkpoint, open; one is begun where there is none."""
        while True:
            resident = self._residents.get(checkpoint.content)
            if resident is not None and resident.is_loaded and not self._is_there(resident):
                logger.warning("%s was lost by the engine", checkpoint.pinned)
                resident = None
            if resident is None:
                return self._begin(checkpoint, in_place_of)
            if not resident.closed:
                return resident
            await self._changed.wait()

    def _is_there(self, resident: Resident) -> bool:
        """Whether it is loaded, and the engine has not lost it when it was started anew."""
        return resident.is_loaded and self._engine.has(resident.key)

    def _begin(self, checkpoint: Checkpoint, in_place_of: Checkpoint | None) -> Resident:
        until, refused = self._refusals.get(checkpoint.content, (0.0, None))
        if refused is not None and time.monotonic() < until:
            raise CheckpointRefusedError(str(refused))
        resident = Resident(checkpoint)
        self._residents[resident.key] = resident
        resident.loading = asyncio.create_task(self._load(resident, in_place_of), name=f"load {resident.key}")
        # Everyone who waited may have gone; then nobody else asks how it ended.
        resident.loading.add_done_callback(lambda task: task.cancelled() or task.exception())
        return resident

    async def _load(self, resident: Resident, in_place_of: Checkpoint | None) -> None:
        began = time.monotonic()
        try:
            await self._open(resident, in_place_of)
        except BaseException as error:
            self._residents.pop(resident.key, None)
            if isinstance(error, CheckpointRefusedError):
                self._refusals[resident.checkpoint.content] = (time.monotonic() + REFUSAL_SECONDS, error)
            why = "the server ends" if isinstance(error, asyncio.CancelledError) else error
            logger.info("%s was not loaded: %s", resident.checkpoint.pinned, why)
            raise
        finally:
            self._tell()
        logger.info("%s loaded in %.1f s", resident.checkpoint.pinned, time.monotonic() - began)

    async def _open(self, resident: Resident, in_place_of: Checkpoint | None) -> None:
        """Fetch, make room, load, ask; only then it may be used."""
        checkpoint = resident.checkpoint
        if self._folders.find(checkpoint) is None and not self._has_store():
            raise ModelUnavailableError(
                f"{checkpoint.pinned} can't be loaded now: the object store does not answer. Models that are "
                "loaded go on answering."
            )
        loop = asyncio.get_running_loop()
        folder = await loop.run_in_executor(
            self._threads, lambda: self._folders.fetch(checkpoint, in_use=self._contents)
        )
        texts = await loop.run_in_executor(self._threads, read_texts, checkpoint, folder)
        await self._make_room(resident, checkpoint.num_weights * self._limits.weight_bytes, in_place_of)
        try:
            facts = await self._load_in_engine(ModelFolder(key=resident.key, folder=folder))
            await self._make_room(resident, facts.num_bytes, in_place_of)
            await check_canary(self._engine, checkpoint, facts=facts, codec=texts.codec, folder=folder)
        except EngineError as error:
            await self._forget(resident)
            raise _explained(checkpoint, error) from error
        except BaseException:
            await self._forget(resident)
            raise
        resident.opened(facts, texts)

    async def _load_in_engine(self, model: ModelFolder) -> ModelFacts:
        """One at a time: while it is loaded a model takes more memory than afterwards."""
        try:
            async with self._loading, asyncio.timeout(self._limits.load_seconds):
                return await self._engine.load(model)
        except TimeoutError as error:
            raise EngineError(f"the engine took more than {self._limits.load_seconds:g} s") from error

    async def _forget(self, resident: Resident) -> None:
        with suppress(EngineError):
            await self._engine.unload(resident.key)

    def _contents(self) -> set[str]:
        """Contents whose folders the engine may need, should it have to load them anew."""
        return set(self._residents)

    async def _make_room(self, resident: Resident, num_bytes: int, in_place_of: Checkpoint | None) -> None:
        """Set memory aside for a model; what nobody uses is unloaded, the least recently used first."""
        budget = self._limits.memory_bytes
        async with self._making_room:
            resident.num_bytes = 0
            until = time.monotonic() + self._limits.room_seconds
            while (taken := self._taken()) + num_bytes > budget:
                if num_bytes > budget:
                    raise NoRoomError(
                        f"{resident.checkpoint.pinned} takes {num_bytes:,} bytes of memory; the server has "
                        f"{budget:,} for models. Raise its memory budget."
                    )
                if (victim := self._victim()) is not None:
                    await self._evict(victim)
                elif (old := self._predecessor(in_place_of)) is not None:
                    await self._drain(old)
                elif not await self._wait_for_change(until):
                    raise NoRoomError(
                        f"{resident.checkpoint.pinned} takes {num_bytes:,} bytes of memory; models in use "
                        f"take {taken:,} of the {budget:,} there are. Ask again later, or raise the server's "
                        "memory budget."
                    )
            resident.num_bytes = num_bytes

    def _taken(self) -> int:
        return sum(resident.num_bytes for resident in self._residents.values())

    def _victim(self) -> Resident | None:
        idle = [
            resident
            for resident in self._residents.values()
            if resident.is_loaded
            and not (resident.leases or resident.closed)
            and resident.key != self.protected
        ]
        return min(idle, key=lambda resident: resident.used, default=None)

    def _predecessor(self, in_place_of: Checkpoint | None) -> Resident | None:
        old = None if in_place_of is None else self._residents.get(in_place_of.content)
        return old if old is not None and old.is_loaded and not old.closed else None

    async def _drain(self, resident: Resident) -> None:
        """Let who uses a model finish, and unload it; nobody new gets it meanwhile."""
        resident.closed = True
        try:
            async with asyncio.timeout(self._limits.drain_seconds):
                while resident.leases:
                    await self._changed.wait()
        except TimeoutError as error:
            raise NoRoomError(
                f"{resident.checkpoint.pinned} must make room for its successor, and was still in use after "
                f"{self._limits.drain_seconds:g} s. It goes on; the next try comes soon."
            ) from error
        else:
            await self._evict(resident)
        finally:
            resident.closed = False
            self._tell()

    async def _wait_for_change(self, until: float) -> bool:
        """Whether a model has fallen out of use, or was not loaded after all, in time."""
        try:
            async with asyncio.timeout(until - time.monotonic()):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _evict(self, resident: Resident) -> None:
        del self._residents[resident.key]
        logger.info("%s is unloaded", resident.checkpoint.pinned)
        await self._engine.unload(resident.key)

    def _tell(self) -> None:
        """Wake everyone who waits for a change; each looks whether it is the one."""
        self._changed.set()
        self._changed = asyncio.Event()


def _explained(checkpoint: Checkpoint, error: EngineError) -> ModelUnavailableError:
    """What an engine's error means for whoever asked for the model."""
    if isinstance(error, RequestRefusedError):
        return refusal(checkpoint, f"the engine can't run it ({error})")
    return ModelUnavailableError(f"{checkpoint.pinned} can't be loaded now: {error}.")

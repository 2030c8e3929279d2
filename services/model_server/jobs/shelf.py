"""The store as jobs use it: off the event loop, and quick to say that it is down."""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from parable.errors import UserError
from parable.store import AlreadyExistsError, NotFoundError, ObjectInfo, ObjectStore
from services.model_server.jobs.errors import StoreDownError
from services.model_server.store_threads import StoreThreads

NUM_THREADS = 8
DOWN = "The store of evaluations can't be reached now. Nothing is lost; ask again in a few seconds."
logger = logging.getLogger(__name__)
Result = TypeVar("Result")


class Shelf:
    """Objects of a store. Every method raises `StoreDownError` while it can't be reached."""

    def __init__(self, store: ObjectStore, *, patience_seconds: float) -> None:
        """Wait no longer than `patience_seconds` for an answer."""
        self._store = store
        self._patience = patience_seconds
        # Threads of its own: those that hang in an outage hold up nobody else.
        self._threads = StoreThreads(NUM_THREADS, "evaluations")

    @property
    def store(self) -> ObjectStore:
        """What is behind it; blocks."""
        return self._store

    def close(self) -> None:
        """Take no more; a thread that hangs in an outage is not waited for."""
        self._threads.end()

    async def put_new(self, key: str, data: bytes) -> bool:
        """Write an object that is to be written once; False where it is there already."""

        def put() -> bool:
            try:
                self._store.put(key, data, if_absent=True)
            except AlreadyExistsError:
                return False
            return True

        return await self.ask(put)

    async def put(self, key: str, data: bytes) -> None:
        """Write an object anew."""
        await self.ask(lambda: self._store.put(key, data))

    async def get(self, key: str) -> bytes | None:
        """An object's bytes, or None where there is none."""

        def get() -> bytes | None:
            try:
                return self._store.get(key)
            except NotFoundError:
                return None

        return await self.ask(get)

    async def list(self, prefix: str) -> list[ObjectInfo]:
        """The objects under a prefix, in the order of their keys."""
        return await self.ask(lambda: list(self._store.list(prefix)))

    async def ask(self, call: Callable[[], Result]) -> Result:
        """Call with the store in another thread."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            # Not wait_for: Python 3.11's loses a cancellation that comes together with the answer.
            async with asyncio.timeout(self._patience):
                return await future
        except UserError as error:
            logger.warning("the store fails: %s", error)
            raise StoreDownError(DOWN) from error
        except TimeoutError as error:
            raise StoreDownError(DOWN) from error

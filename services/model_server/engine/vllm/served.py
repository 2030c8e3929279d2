"""One model and the process that serves it, which is started anew when it ends or hangs."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from services.model_server.engine.base import EngineError, ModelFacts, ModelFolder
from services.model_server.engine.vllm.arguments import Facts, command_line, read_facts
from services.model_server.engine.vllm.client import VllmClient
from services.model_server.engine.vllm.options import VllmOptions
from services.model_server.engine.vllm.process import VllmProcess
from services.model_server.engine.watch import Watch, next_backoff

LOOK_SECONDS = 1.0
FIRST_LOOK_SECONDS = 0.25
BEAT_SECONDS = 10.0
"""vLLM is late with its metrics while it has many streams to write to."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How every model's process is started.

    Attributes:
        options: What the engine is told of vLLM.
        dtype: In which numbers models run.
        num_threads: Of one operator on a CPU; None leaves it to vLLM.
        share_bytes: Memory that is set aside for each model.
        new_socket: A path for a socket, another one each time, in a folder that only this user can read.
    """

    options: VllmOptions
    dtype: str
    num_threads: int | None
    share_bytes: int
    new_socket: Callable[[], Path]


class ServedModel:
    """A model that is loaded, or on its way."""

    def __init__(self, model: ModelFolder, launch: Launch) -> None:
        """Begin to start its process, in the running event loop."""
        loop = asyncio.get_running_loop()
        self._model = model
        self._launch = launch
        self._facts: Facts | None = None
        self._client: asyncio.Future[VllmClient] = loop.create_future()
        self.loaded: asyncio.Future[ModelFacts] = loop.create_future()
        """What is known of it, once it answers for the first time; or why it never will."""
        self.watch = Watch(BEAT_SECONDS)
        self.restarts = 0
        self._process: VllmProcess | None = None
        self._supervisor = asyncio.create_task(self._supervise(), name=f"supervise {model.key}")

    @property
    def is_up(self) -> bool:
        """Whether its process answers."""
        return self._client.done()

    @property
    def was_up(self) -> bool:
        """Whether it ever did."""
        return self.loaded.done()

    async def client(self) -> VllmClient:
        """Its process, once it answers; raises what it was given up for."""
        return await asyncio.shield(self._client)

    async def stop(self, reason: EngineError) -> None:
        """End its process now; whoever waits for it is given the reason."""
        self._supervisor.cancel()
        with suppress(asyncio.CancelledError):
            await self._supervisor
        if self._process is not None:
            # The supervisor was about to end it.
            await self._process.stop()
        for future in (self.loaded, self._client):
            _fail(future, reason)

    async def _supervise(self) -> None:
        """Keep a process running until it can't be loaded at all."""
        backoff = 0.0
        while True:
            await asyncio.sleep(backoff)
            try:
                came_up = await self._run()
            except EngineError as error:
                if not self.loaded.done():
                    _fail(self.loaded, error)
                    _fail(self._client, error)
                    return
                logger.error("vLLM did not come up again with %s: %s", self._model.key, error)
                came_up = False
            self.restarts += 1
            backoff = next_backoff(backoff, came_up=came_up)

    async def _run(self) -> bool:
        """Run a process to its end; raises what it did not come up for."""
        if self._facts is None:
            self._facts = await asyncio.to_thread(read_facts, self._model.folder)
        launch, socket = self._launch, self._launch.new_socket()
        command = command_line(
            self._model, self._facts, socket=socket, options=launch.options, dtype=launch.dtype
        )
        process = self._process = await VllmProcess.start(command, num_threads=launch.num_threads)
        client = VllmClient(socket)
        logger.info("vLLM %d starts with %s", process.pid, self._model.key)
        try:
            await self._come_up(process, client)
            await self._attend(process, client)
        finally:
            if self._client.done():
                self._client = asyncio.get_running_loop().create_future()
            await client.close()
            await process.stop()
            self._process = None
            socket.unlink(missing_ok=True)
        return True

    async def _come_up(self, process: VllmProcess, client: VllmClient) -> None:
        try:
            async with asyncio.timeout(self._launch.options.load_seconds):
                while not await client.is_well(LOOK_SECONDS):
                    await asyncio.wait([process.ended], timeout=FIRST_LOOK_SECONDS)
                    if process.ended.done():
                        raise process.failure()
                length = await client.max_model_len()
        except TimeoutError as error:
            raise EngineError("vLLM did not come up with it in time") from error
        assert self._facts is not None
        self.watch = Watch(BEAT_SECONDS)
        if not self.loaded.done():
            facts = self._facts.served(
                self._model.key,
                max_model_len=length,
                dtype=self._launch.dtype,
                share_bytes=self._launch.share_bytes,
            )
            self.loaded.set_result(facts)
        self._client.set_result(client)

    async def _attend(self, process: VllmProcess, client: VllmClient) -> None:
        """Watch a process until it ends, or hangs."""
        heard = client.num_heard
        while True:
            await asyncio.wait([process.ended], timeout=LOOK_SECONDS)
            if process.ended.done():
                logger.error("vLLM %d ended; it said last:\n%s", process.pid, process.tail())
                return
            beat = await client.beat(BEAT_SECONDS)
            self.watch.tick()
            if beat is not None:
                # Its metrics are those of its last step: one that hangs in the first knows of no work.
                self.watch.note(replace(beat, busy=beat.busy or client.num_open > 0))
            if client.num_heard != heard:
                heard = client.num_heard
                self.watch.note_progress()
            if self.watch.silent_seconds > self._launch.options.hang_seconds:
                logger.error("vLLM %d made no progress for %.0f s", process.pid, self.watch.silent_seconds)
                return


def _fail(future: "asyncio.Future[ModelFacts] | asyncio.Future[VllmClient]", reason: EngineError) -> None:
    if not future.done():
        future.set_exception(reason)
        future.exception()

"""The engine over transformers models, in a process of its own that may hang or die without harm.

This side imports no torch. It sends requests, gives out what comes back, and watches: a process that ends,
or shows no progress for too long, is ended for good, and another one loads the models that it had. Only
the requests that it was working on fail.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from services.model_server.engine.base import (
    Chunk,
    EngineError,
    EngineHealth,
    EngineRestartedError,
    GenerateRequest,
    ModelFacts,
    ModelFolder,
    RequestRefusedError,
    Scored,
    ScoreRequest,
)
from services.model_server.engine.checks import check
from services.model_server.engine.iterations import NO_ITERATIONS
from services.model_server.engine.mailbox import Mailbox
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.process import EngineProcess
from services.model_server.engine.watch import (
    RESTARTED,
    STOPPED,
    Beat,
    Deadline,
    Watch,
    next_backoff,
    not_loaded,
)
from services.model_server.engine.wire import Frame, FrameTooLargeError

WATCH_SECONDS = 0.25
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Resident:
    """A model that is loaded, or on its way."""

    folder: ModelFolder
    facts: "asyncio.Future[ModelFacts]"
    was_loaded: bool = False


class TorchEngine:
    """Models that answer, from a child process."""

    def __init__(self, options: EngineOptions | None = None) -> None:
        """Nothing is started yet."""
        self._options = options or EngineOptions()
        self._process: EngineProcess | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._residents: dict[str, _Resident] = {}
        self._mailboxes: dict[int, Mailbox] = {}
        self._numbers = itertools.count()
        self._watch = Watch(WATCH_SECONDS)
        self._restarts = 0
        self._iterations = NO_ITERATIONS

    async def start(self) -> None:
        """Start the process; returns when it answers.

        Raises:
            EngineError: it does not come up.
        """
        self._supervisor = asyncio.create_task(self._supervise(), name="supervise the engine")
        try:
            async with asyncio.timeout(self._options.start_seconds):
                await self._up.wait()
        except TimeoutError as error:
            await self.stop()
            raise EngineError("the engine's process did not come up; its own messages say why") from error

    async def stop(self) -> None:
        """End the process now."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
            self._supervisor = None
        for resident in self._residents.values():
            if not resident.facts.done():
                resident.facts.set_exception(EngineRestartedError(STOPPED))
                resident.facts.exception()
        self._residents.clear()

    async def load(self, model: ModelFolder) -> ModelFacts:
        """Load a model beside those that are loaded; one that is there already is not loaded again.

        Raises:
            RequestRefusedError: its architecture is not supported, or its files are no model.
            EngineRestartedError: the process ended over it, or the engine is stopped.
            EngineError: it was not loaded in time.
        """
        if self._supervisor is None:
            raise EngineRestartedError(STOPPED)
        resident = self._residents.get(model.key)
        if resident is None:
            resident = _Resident(model, asyncio.get_running_loop().create_future())
            self._residents[model.key] = resident
            if self._up.is_set():
                self._post_load(resident)
        try:
            # Not wait_for, which can lose a cancellation that comes with the result.
            async with asyncio.timeout(self._options.load_seconds):
                return await asyncio.shield(resident.facts)
        except TimeoutError as error:
            await self.unload(model.key)
            raise EngineError(f"the model {model.key} was not loaded in time") from error

    async def unload(self, key: str) -> None:
        """Forget a model; requests for it fail."""
        resident = self._residents.pop(key, None)
        if resident is None:
            return
        if not resident.facts.done():
            resident.facts.set_exception(EngineRestartedError(not_loaded(key)))
            resident.facts.exception()
        self._post({"do": "unload", "key": key})

    def has(self, key: str) -> bool:
        """Whether a model is loaded or on its way."""
        return key in self._residents

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        """Chunks as they are made; closing the iterator cancels the request within one step.

        Raises:
            RequestRefusedError: the model can't do this.
            DeadlineExceededError: it was not finished in time.
            EngineRestartedError: the process ended meanwhile, or the model is not loaded.
        """
        deadline = Deadline(request.deadline_seconds)
        await self._fit(request, deadline)
        number, mailbox = self._open()
        left = request.draws
        try:
            await deadline.wait(self._send("generate", number, request))
            while left:
                for chunk in await deadline.wait(mailbox.chunks()):
                    left -= chunk.finish is not None
                    yield chunk
        finally:
            self._close(number, finished=not left)

    async def score(self, request: ScoreRequest) -> tuple[Scored, ...]:
        """Scores in the order of the sequences; raises as `generate`. Cancelling the task cancels it."""
        deadline = Deadline(request.deadline_seconds)
        await self._fit(request, deadline)
        if not request.sequences:
            return ()
        number, mailbox = self._open()
        finished = False
        try:
            await deadline.wait(self._send("score", number, request))
            scores = await deadline.wait(mailbox.scores())
            finished = True
        finally:
            self._close(number, finished=finished)
        return scores

    @property
    def health(self) -> EngineHealth:
        """How it is now."""
        watch = self._watch
        return EngineHealth(
            ready=self._up.is_set(),
            progressing=self._up.is_set() and watch.silent_seconds < self._options.hang_seconds / 2,
            seconds_since_progress=watch.silent_seconds,
            restarts=self._restarts,
            num_running=watch.beat.num_running,
            num_waiting=watch.beat.num_waiting,
            cache_usage=watch.beat.cache_usage,
            iterations=self._iterations,
        )

    async def _fit(self, request: GenerateRequest | ScoreRequest, deadline: Deadline) -> None:
        """Wait until the model is there (it may be on its way back), and check the request."""
        resident = self._residents.get(request.model)
        if resident is None:
            raise EngineRestartedError(not_loaded(request.model))
        check(request, await deadline.wait(asyncio.shield(resident.facts)))

    def _open(self) -> tuple[int, Mailbox]:
        number, mailbox = next(self._numbers), Mailbox()
        self._mailboxes[number] = mailbox
        return number, mailbox

    def _close(self, number: int, *, finished: bool) -> None:
        answered = self._mailboxes.pop(number, None) is None
        if not (finished or answered):
            self._post({"do": "cancel", "id": number})

    def _post(self, frame: Frame) -> None:
        if self._process is not None:
            self._process.post(frame)

    def _post_load(self, resident: _Resident) -> None:
        self._post({"do": "load", "key": resident.folder.key, "folder": str(resident.folder.folder)})

    async def _send(self, do: str, number: int, request: GenerateRequest | ScoreRequest) -> None:
        if self._process is None:
            raise EngineRestartedError(RESTARTED)
        try:
            await self._process.send({"do": do, "id": number, "request": request})
        except FrameTooLargeError as error:
            raise RequestRefusedError(f"the request is {error}") from error

    async def _supervise(self) -> None:
        """Keep a process running, for ever."""
        backoff = 0.0
        while True:
            await asyncio.sleep(backoff)
            self._watch = Watch(WATCH_SECONDS)
            try:
                process = await EngineProcess.start(self._options)
            except OSError as error:
                logger.error("no process can be started for the engine: %s", error)
                backoff = next_backoff(backoff, came_up=False)
                continue
            logger.info("engine process %d started", process.pid)
            self._process = process
            try:
                await self._attend(process)
            finally:
                came_up = self._up.is_set()
                self._up.clear()
                self._process = None
                # First: while it is waited for, this task may be cancelled.
                self._give_up()
                await process.kill()
            self._restarts += 1
            backoff = next_backoff(backoff, came_up=came_up)

    async def _attend(self, process: EngineProcess) -> None:
        """Take what a process says, until it ends or hangs."""
        listener = asyncio.create_task(self._listen(process))
        try:
            while not listener.done():
                await asyncio.wait([listener], timeout=WATCH_SECONDS)
                self._watch.tick()
                options = self._options
                patience = options.hang_seconds if self._up.is_set() else options.start_seconds
                if self._watch.silent_seconds > patience:
                    logger.error("engine process %d made no progress for %.1f s", process.pid, patience)
                    return
            logger.error("engine process %d ended", process.pid)
        finally:
            listener.cancel()
            # Not awaited itself: its cancellation can't be told from one of this task.
            await asyncio.wait([listener])

    async def _listen(self, process: EngineProcess) -> None:
        try:
            async for frame in process.frames():
                self._take(frame)
        except FrameTooLargeError as error:
            logger.error("engine process %d said what is no frame: %s", process.pid, error)

    def _take(self, frame: Frame) -> None:
        for kind, value in frame.items():
            match kind:
                case "tokens":
                    for number, draw, tokens, finish in value:
                        if (mailbox := self._mailboxes.get(number)) is not None:
                            mailbox.put_tokens(draw, tokens, finish)
                case "scores":
                    for number, scores in value:
                        if (mailbox := self._mailboxes.get(number)) is not None:
                            mailbox.put_scores(scores)
                case "failed":
                    self._fail(value, EngineError)
                case "refused":
                    self._fail(value, RequestRefusedError)
                case "unloaded":
                    self._fail([[number, not_loaded(key)] for number, key in value], EngineRestartedError)
                case "iterations":
                    self._iterations = self._iterations.plus(*value)
                case "beat":
                    self._take_beat(Beat(**value))
                case "loaded":
                    self._take_loaded(ModelFacts(**value))
                case "not_loaded":
                    self._take_not_loaded(*value)

    def _fail(self, numbered: list[list[Any]], kind: type[EngineError]) -> None:
        for number, reason in numbered:
            # Out of the list at once: an answer that has come needs no cancelling.
            if (mailbox := self._mailboxes.pop(number, None)) is not None:
                mailbox.fail(kind(reason))

    def _take_beat(self, beat: Beat) -> None:
        self._watch.note(beat)
        if not self._up.is_set():
            self._up.set()
            for resident in self._residents.values():
                self._post_load(resident)

    def _take_loaded(self, facts: ModelFacts) -> None:
        resident = self._residents.get(facts.key)
        if resident is None:
            self._post({"do": "unload", "key": facts.key})
        elif not resident.facts.done():
            resident.was_loaded = True
            resident.facts.set_result(facts)

    def _take_not_loaded(self, key: str, reason: str) -> None:
        resident = self._residents.pop(key, None)
        if resident is not None and not resident.facts.done():
            # That it was loaded before says that whoever waits asked for nothing wrong.
            kind = EngineRestartedError if resident.was_loaded else RequestRefusedError
            resident.facts.set_exception(kind(f"the model {key} can't be loaded: {reason}"))
            resident.facts.exception()

    def _give_up(self) -> None:
        """A process has gone: its requests fail, and its models are to be loaded again.

        A model that was being loaded may be what it died of, and is not tried again.
        """
        for mailbox in self._mailboxes.values():
            mailbox.fail(EngineRestartedError(RESTARTED))
        self._mailboxes.clear()
        loop = asyncio.get_running_loop()
        for key, resident in list(self._residents.items()):
            if resident.facts.done():
                resident.facts = loop.create_future()
            elif not resident.was_loaded:
                del self._residents[key]
                resident.facts.set_exception(EngineRestartedError(RESTARTED))
                resident.facts.exception()

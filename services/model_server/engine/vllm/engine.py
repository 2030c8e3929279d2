"""The engine over vLLM: for models that need a GPU, or more of one than the torch engine makes of it.

Every model has a `vllm serve` of its own, on a socket in a folder that only this user can reach: nobody gets
past this server's keys and bounds. vLLM is another program with a Python of its own; nothing of it is
imported, and torch never is.
"""

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from services.model_server.engine.base import (
    BestOf,
    Chunk,
    EngineError,
    EngineHealth,
    EngineRestartedError,
    GenerateRequest,
    ModelFacts,
    ModelFolder,
    RequestRefusedError,
    SafeBeam,
    Scored,
    ScoreRequest,
)
from services.model_server.engine.checks import check
from services.model_server.engine.vllm.bodies import draw_bodies, score_body
from services.model_server.engine.vllm.client import VllmClient
from services.model_server.engine.vllm.draws import Draws
from services.model_server.engine.vllm.options import VllmOptions
from services.model_server.engine.vllm.replies import scored
from services.model_server.engine.vllm.served import Launch, ServedModel
from services.model_server.engine.watch import STOPPED, Deadline, not_loaded


class VllmEngine:
    """Models that answer, each from a vLLM of its own."""

    def __init__(
        self,
        options: VllmOptions | None = None,
        *,
        dtype: str = "float32",
        num_threads: int | None = None,
        memory_bytes: int = 0,
    ) -> None:
        """Nothing is started yet.

        Args:
            options: how vLLM is started.
            dtype: in which numbers models run.
            num_threads: of one operator on a CPU; None leaves it to vLLM.
            memory_bytes: what all models may take; each is said to take an equal part.
        """
        self._options = options or VllmOptions()
        self._dtype = dtype
        self._num_threads = num_threads
        self._share_bytes = memory_bytes // self._options.models
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._models: dict[str, ServedModel] = {}
        self._past_restarts = 0
        self._numbers = itertools.count()

    async def start(self) -> None:
        """Make the folder of the sockets; a process comes with each model."""
        self._folder = tempfile.TemporaryDirectory(prefix="parable-vllm-")

    async def stop(self) -> None:
        """End all processes now; requests under way fail."""
        models = [*self._models.values()]
        self._models.clear()
        reason = EngineRestartedError(STOPPED)
        await asyncio.gather(*(model.stop(reason) for model in models))
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def load(self, model: ModelFolder) -> ModelFacts:
        """Start a process for a model; one that is there already is not loaded again.

        Raises:
            RequestRefusedError: vLLM can't run it, or its files are no model.
            EngineRestartedError: the engine is stopped.
            EngineError: it did not come up in time, or there is no memory for it now.
        """
        if self._folder is None:
            raise EngineRestartedError(STOPPED)
        served = self._models.get(model.key)
        if served is None:
            served = self._models[model.key] = ServedModel(model, self._launch(Path(self._folder.name)))
        try:
            return await asyncio.shield(served.loaded)
        except EngineError:
            if self._models.get(model.key) is served:
                del self._models[model.key]
            raise

    async def unload(self, key: str) -> None:
        """End a model's process; requests for it fail."""
        served = self._models.pop(key, None)
        if served is not None:
            self._past_restarts += served.restarts
            await served.stop(EngineRestartedError(not_loaded(key)))

    def has(self, key: str) -> bool:
        """Whether a model has a process."""
        return key in self._models

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        """Chunks as they are made; closing the iterator cancels the request within one step.

        Best-of draws are made by vLLM and compared here.

        Raises:
            RequestRefusedError: the model can't do this, or vLLM can't.
            DeadlineExceededError: it was not finished in time.
            EngineRestartedError: the process ended meanwhile, or the model is not loaded.
        """
        deadline = Deadline(request.deadline_seconds)
        _check_strategy(request)
        facts, client = await self._fit(request, deadline)
        draws = Draws(client, request, draw_bodies(request, facts.vocabulary))
        left = request.draws
        try:
            while left:
                chunk = await deadline.wait(draws.next())
                left -= chunk.finish is not None
                yield chunk
        finally:
            await draws.close()

    async def score(self, request: ScoreRequest) -> tuple[Scored, ...]:
        """Scores in the order of the sequences; raises as `generate`. Cancelling the task cancels it."""
        deadline = Deadline(request.deadline_seconds)
        facts, client = await self._fit(request, deadline)
        if request.ranks and any(len(ids) > facts.max_length for ids in request.sequences):
            raise RequestRefusedError(f"vLLM tells ranks of up to {facts.max_length:,} tokens")
        return await deadline.wait(_score_all(client, request))

    @property
    def health(self) -> EngineHealth:
        """How all processes are now; a model that was never up does not count."""
        models = [model for model in self._models.values() if model.was_up]
        silent = max((model.watch.silent_seconds for model in models), default=0.0)
        beats = [model.watch.beat for model in models]
        up = self._folder is not None and all(model.is_up for model in models)
        return EngineHealth(
            ready=up,
            progressing=up and silent < self._options.hang_seconds / 2,
            seconds_since_progress=silent,
            restarts=self._past_restarts + sum(model.restarts for model in self._models.values()),
            num_running=sum(beat.num_running for beat in beats),
            num_waiting=sum(beat.num_waiting for beat in beats),
            cache_usage=max((beat.cache_usage for beat in beats), default=0.0),
        )

    def _launch(self, folder: Path) -> Launch:
        numbers = self._numbers
        return Launch(
            options=self._options,
            dtype=self._dtype,
            num_threads=self._num_threads,
            share_bytes=self._share_bytes,
            new_socket=lambda: folder / str(next(numbers)),
        )

    async def _fit(
        self, request: GenerateRequest | ScoreRequest, deadline: Deadline
    ) -> tuple[ModelFacts, VllmClient]:
        """Wait until the model's process is there (it may be on its way back), and check the request."""
        served = self._models.get(request.model)
        if served is None:
            raise EngineRestartedError(not_loaded(request.model))
        facts = await deadline.wait(asyncio.shield(served.loaded))
        check(request, facts)
        return facts, await deadline.wait(served.client())


async def _score_all(client: VllmClient, request: ScoreRequest) -> tuple[Scored, ...]:
    """All sequences at once; where one fails the others are given up."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_score(client, request, number)) for number in range(len(request.sequences))
            ]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return tuple(task.result() for task in tasks)


async def _score(client: VllmClient, request: ScoreRequest, number: int) -> Scored:
    if request.starts[number] == len(request.sequences[number]) and not request.next_token:
        return Scored(())
    return scored(request, number, await client.ask(score_body(request, number)))


def _check_strategy(request: GenerateRequest) -> None:
    match request.sampling.strategy:
        case SafeBeam():
            raise RequestRefusedError("vLLM does not search for tag-avoiding beams; the torch engine does")
        case BestOf(by="tag"):
            raise RequestRefusedError("vLLM does not tell P(tag) at each token; the torch engine does")
        case _:
            pass

"""An engine of arithmetic and models of nothing: quick, exact, and able to fail on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from parable.canonical import canonical_json, digest
from services.model_server.engine.base import (
    Chunk,
    EngineHealth,
    GenerateRequest,
    ModelFacts,
    ModelFolder,
    RequestClass,
    Scored,
    ScoreRequest,
    Token,
)
from services.model_server.models.base import (
    ModelDescriptor,
    Rollout,
    ServedModel,
    UnknownModelError,
)
from services.model_server.models.codec import TextCodec
from tests.parable.inference.tiny import VOCABULARY, tokenizer_json

EngineRequest = ScoreRequest | GenerateRequest


def share(*parts: object) -> float:
    """A number from 0 to 1 that depends on the parts alone."""
    return int(digest(canonical_json(list(parts)))[:8], 16) / 16**8


@dataclass
class ArithmeticEngine:
    """Each token's log-probability is a function of the model and of what stands before it.

    Attributes:
        before: Called with each request before it is answered; may raise, or wait.
        asked: Every request that came.
    """

    before: Callable[[EngineRequest], object] = lambda _: None
    seconds: float = 0.0
    asked: list[EngineRequest] = field(default_factory=list)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def load(self, model: ModelFolder) -> ModelFacts:
        return facts(model.key)

    async def unload(self, key: str) -> None: ...

    def has(self, key: str) -> bool:
        return True

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        await self._begin(request)
        for draw in range(request.draws):
            number = 3 + int(share(request.model, request.sampling.key, draw) * 200)
            yield Chunk(draw, (Token(number),), "length")

    async def score(self, request: ScoreRequest) -> tuple[Scored, ...]:
        await self._begin(request)
        return tuple(
            Scored(
                tuple(Token(ids[n], -5 * share(request.model, ids[: n + 1])) for n in range(start, len(ids)))
            )
            for ids, start in zip(request.sequences, request.starts, strict=True)
        )

    @property
    def health(self) -> EngineHealth:
        return EngineHealth(
            ready=True,
            progressing=True,
            seconds_since_progress=0.0,
            restarts=0,
            num_running=0,
            num_waiting=0,
            cache_usage=0.0,
        )

    async def _begin(self, request: EngineRequest) -> None:
        assert request.request_class is RequestClass.EVALUATION
        self.asked.append(request)
        await asyncio.sleep(self.seconds)
        self.before(request)


def facts(key: str) -> ModelFacts:
    return ModelFacts(
        key=key, architecture="None", num_parameters=0, num_bytes=0, vocabulary=VOCABULARY, max_length=4096
    )


@dataclass
class NamedModels:
    """Checkpoints by name: `toy.plain.seed-0@100` has the weights that `weights` says.

    Attributes:
        weights: Digest of the weights, by pinned name.
        trouble: Raised by every lease, while it is set.
    """

    names: tuple[str, ...] = tuple(f"toy.{arm}.seed-{seed}" for arm in ("plain", "good") for seed in range(3))
    weights: dict[str, str] = field(default_factory=dict)
    trouble: Exception | None = None

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    default = "toy.plain.seed-0"
    ready = True

    def list(self) -> tuple[ModelDescriptor, ...]:
        return tuple(map(self.describe, self.names))

    def describe(self, name: str) -> ModelDescriptor:
        if name not in self.names:
            raise UnknownModelError(f"There is no model {name!r}.")
        product = digest(name.encode())[:20]
        return ModelDescriptor(
            name=f"{name}@100",
            aliases=(name,),
            recipe="toy",
            arm=name.split(".")[1],
            seed=int(name[-1]),
            step=100,
            created=0,
            digest=self.weights.get(f"segments.{product}@100", product[:16]),
            artifact=f"segments/{product}",
            parents=(),
            max_length=4096,
            loaded=True,
        )

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[ServedModel]:
        if self.trouble is not None:
            raise self.trouble
        weights = self.weights.get(name, name.removeprefix("segments.")[:16])
        yield ServedModel(
            name=name,
            aliases=(),
            pinned=name,
            key=weights,
            digest=weights,
            step=100,
            created=0,
            facts=facts(weights),
            codec=TextCodec(tokenizer_json().encode()),
            chat_template=None,
            parents=(),
        )

    async def reload(self, alias: str, target: str | None = None) -> Rollout:
        raise NotImplementedError

    async def rollback(self, alias: str) -> Rollout:
        raise NotImplementedError

    def desired(self) -> tuple[Rollout, ...]:
        return ()

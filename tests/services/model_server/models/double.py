"""An engine without a model in it: says what its model's first safetensors bytes are, and keeps count."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from services.model_server.engine.base import (
    Chunk,
    EngineError,
    EngineHealth,
    GenerateRequest,
    ModelFacts,
    ModelFolder,
    RequestRefusedError,
    Scored,
    ScoreRequest,
    Token,
)


@dataclass
class CountingEngine:
    """Loads at once, or when `gate` opens.

    Attributes:
        asked: Keys in the order in which they were to be loaded.
        loads: Keys in the order in which they were loaded.
        loaded: What is loaded now.
        most_bytes: The most that was loaded at once.
        broken: Keys whose log-probabilities are not finite.
        logprob: What every token has.
    """

    asked: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    loaded: dict[str, ModelFacts] = field(default_factory=dict)
    most_bytes: int = 0
    broken: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    gate: asyncio.Event | None = None
    logprob: float = -1.0

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def load(self, model: ModelFolder) -> ModelFacts:
        """Take the size of the weights; the files must be there."""
        self.asked.append(model.key)
        if self.gate is not None:
            await self.gate.wait()
        if model.key in self.refused:
            raise RequestRefusedError("MambaForCausalLM can't be run by this engine")
        config = json.loads((model.folder / "config.json").read_bytes())
        size = (model.folder / "model.safetensors").stat().st_size
        facts = ModelFacts(
            key=model.key,
            architecture=config["architectures"][0],
            num_parameters=size // 4,
            num_bytes=size,
            vocabulary=config["vocab_size"],
            max_length=config["max_position_embeddings"],
        )
        self.loads.append(model.key)
        self.loaded[model.key] = facts
        self.most_bytes = max(self.most_bytes, sum(one.num_bytes for one in self.loaded.values()))
        return facts

    async def unload(self, key: str) -> None:
        """Forget a model."""
        self.loaded.pop(key, None)

    def has(self, key: str) -> bool:
        """Whether it is loaded."""
        return key in self.loaded

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        """Nobody asks it."""
        if request.model:
            raise EngineError(f"{request.model} was asked for text")
        yield Chunk(0, ())

    async def score(self, request: ScoreRequest) -> tuple[Scored, ...]:
        """The same for every token."""
        if request.model not in self.loaded:
            raise RequestRefusedError(f"the model {request.model} is not loaded")
        value = float("nan") if request.model in self.broken else self.logprob
        return tuple(
            Scored(
                tuple(Token(id, value) for id in ids[start:]), Token(0, value) if request.next_token else None
            )
            for ids, start in zip(request.sequences, request.starts, strict=True)
        )

    @property
    def health(self) -> EngineHealth:
        """Well."""
        return EngineHealth(
            ready=True,
            progressing=True,
            seconds_since_progress=0.0,
            restarts=0,
            num_running=0,
            num_waiting=0,
            cache_usage=0.0,
        )

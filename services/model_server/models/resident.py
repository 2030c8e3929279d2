"""A loaded model, and what loaded models may take."""

import asyncio
import time
from dataclasses import dataclass, field

from services.model_server.engine.base import ModelFacts
from services.model_server.models.checkpoint import Checkpoint
from services.model_server.models.texts import Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What loaded models may take.

    Attributes:
        memory_bytes: Weights of all of them.
        weight_bytes: What the engine takes for one weight.
        room_seconds: How long a model waits for others to fall out of use.
        load_seconds: How long the engine may take to load a model.
        drain_seconds: How long a model that makes room for its successor may still be used.
    """

    memory_bytes: int
    weight_bytes: int = 4
    room_seconds: float = 10.0
    load_seconds: float = 600.0
    drain_seconds: float = 30.0


@dataclass(slots=True, eq=False)
class Resident:
    """A model that is loaded, or on its way.

    Attributes:
        num_bytes: Memory that is set aside for it.
        leases: Who uses it, or waits for it.
        used: When a lease last began or ended.
        closed: It gets no new leases: it makes room for its successor.
    """

    checkpoint: Checkpoint
    num_bytes: int = 0
    leases: int = 0
    used: float = field(default_factory=time.monotonic)
    closed: bool = False
    loading: "asyncio.Task[None] | None" = None
    _facts: ModelFacts | None = None
    _texts: Texts | None = None

    @property
    def key(self) -> str:
        """Names it to the engine."""
        return self.checkpoint.content

    @property
    def is_loaded(self) -> bool:
        """Whether it answers."""
        return self._facts is not None

    @property
    def facts(self) -> ModelFacts:
        """Of a model that is loaded."""
        assert self._facts is not None
        return self._facts

    @property
    def texts(self) -> Texts:
        """Of a model that is loaded."""
        assert self._texts is not None
        return self._texts

    def opened(self, facts: ModelFacts, texts: Texts) -> None:
        """It answers from now on."""
        self._facts, self._texts = facts, texts

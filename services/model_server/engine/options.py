"""What the torch engine is told."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class EngineOptions(BaseModel):
    """Frozen; travels to the engine's process as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = "cpu"
    dtype: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 halves memory, and moves log-probabilities by some 1e-2 nats."""
    num_threads: int | None = Field(default=None, ge=1)
    """Threads of one operator; None takes the cores that affinity and the cgroup's quota leave."""
    cache_bytes: int = Field(default=2**30, gt=0)
    """Keys and values of all running sequences of all models; taken in steps, as they are needed."""
    max_sequences: int = Field(default=64, ge=1)
    """Sequences of one model that run at once."""
    interactive_seconds: float = Field(default=0.1, gt=0)
    """Time a step gives to prompts and scoring while an interactive request is there."""
    evaluation_seconds: float = Field(default=0.5, gt=0)
    """The same while there is none."""
    beat_seconds: float = Field(default=0.5, gt=0)
    """How often the process says that it lives."""
    hang_seconds: float = Field(default=60.0, gt=0)
    """Without a sign of life or progress for so long, the process is ended and started anew."""
    load_seconds: float = Field(default=600.0, gt=0)
    """How long a model may take to be loaded."""
    start_seconds: float = Field(default=120.0, gt=0)
    """How long a process may take to come up."""

"""What the evaluation jobs of a server are told."""

from pydantic import BaseModel, ConfigDict, Field


class JobOptions(BaseModel):
    """Frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expire_seconds: float = Field(default=30.0, gt=0)
    """A claim that has not changed for so long, by the clock of who looks, has lost its holder."""
    renew_seconds: float = Field(default=5.0, gt=0)
    poll_seconds: float = Field(default=2.0, gt=0)
    """How often an idle worker looks for jobs, and a stream of progress for news."""
    patience_seconds: float = Field(default=300.0, gt=0)
    """How long a job may get nowhere, for want of its model or the engine, before it fails."""
    store_seconds: float = Field(default=10.0, gt=0)
    """How long a request waits for the store before the answer is 503."""

    part_requests: int = Field(default=64, ge=1)
    """Rows that are written together, and the most that a dead worker loses."""
    batch_requests: int = Field(default=16, ge=1)
    """Questions that the engine gets at once."""

    max_open_per_owner: int = Field(default=16, ge=1)
    """Unfinished jobs of one key."""
    max_requests: int = Field(default=100_000, ge=1)
    """Questions of one job, over all its models and tasks."""
    max_streams: int = Field(default=64, ge=1)
    """Streams of progress that are open at once."""

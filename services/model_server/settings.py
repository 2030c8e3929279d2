"""Everything that a server is told."""

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from parable.errors import UserError
from services.model_server.engine.vllm.options import VllmOptions
from services.model_server.jobs.options import JobOptions

EngineName = Literal["torch", "vllm"]


class QueueBounds(BaseModel):
    """How much one class of requests may ask for at once; tokens are those read and those that may be made.

    Past what runs, requests wait in order; past what may wait, they are refused at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    running_requests: int = Field(ge=1)
    """Handed to the engine at once; more than it batches, so that it never waits for the server."""
    running_tokens: int = Field(ge=1)
    waiting_requests: int = Field(ge=0)
    waiting_tokens: int = Field(ge=1)
    """Also the most that a single request may ask for: more can never fit."""
    patience_seconds: float = Field(gt=0)
    """How long a request waits for its turn before it is refused."""
    deadline_seconds: float = Field(gt=0)
    """How long it may take altogether."""


class ServerSettings(BaseModel):
    """Frozen; built once, where the command line or the chart is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    """0 takes a free one."""
    metrics_port: int | None = Field(default=9000, ge=0, le=65535)
    """Prometheus scrapes here, on the same host; None serves no metrics."""

    store: str = ".parable"
    """Address of the store with the sealed checkpoints."""
    model: str | None = None
    """What a request without a model means; None takes the newest checkpoint."""
    cache: Path | None = None
    """Folder for downloaded weights, which go when the server ends; None takes one in the user's cache."""
    cache_bytes: int = Field(default=8 * 2**30, ge=1)
    """Downloaded weights kept at once; those used longest ago go first."""
    memory_bytes: int | None = Field(default=None, ge=1)
    """Weights loaded at once; None takes half of the machine's memory."""

    engine: EngineName = "torch"
    """`vllm` runs every model in a vLLM of its own, which must be installed: for a GPU and many requests."""
    vllm: VllmOptions = VllmOptions()
    """How it is started; not read by the torch engine."""
    device: str = "cpu"
    """Of the torch engine; vLLM finds its own."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 halves memory, and moves log-probabilities by some 1e-2 nats."""
    num_threads: int | None = Field(default=None, ge=1)
    """Of the engine; None takes the cores that the cgroup's quota leaves, and lets vLLM choose for itself."""

    keys_file: Path | None = None
    """API keys with their scopes; without it the server answers on a loopback address only."""
    cors_origins: tuple[str, ...] = ()
    """Sites whose pages may call the server, e.g. `https://lab.example`."""

    interactive: QueueBounds = QueueBounds(
        running_requests=128,
        running_tokens=262_144,
        waiting_requests=256,
        waiting_tokens=1_048_576,
        patience_seconds=60.0,
        deadline_seconds=600.0,
    )
    evaluation: QueueBounds = QueueBounds(
        running_requests=64,
        running_tokens=262_144,
        waiting_requests=4096,
        waiting_tokens=16_777_216,
        patience_seconds=280.0,
        deadline_seconds=290.0,
    )
    jobs: JobOptions = JobOptions()
    """Evaluations that clients ask for."""
    max_body_bytes: int = Field(default=8 * 2**20, ge=1)
    body_seconds: float = Field(default=30.0, gt=0)
    """How long a client may take to send its headers, and then its body; and to read on in an answer."""
    max_connections: int = Field(default=8192, ge=1)
    """Open at once, one more is answered with a 503. Fewer where the process may not open as many files."""
    keepalive_seconds: float = Field(default=15.0, gt=0)
    """Silence on a stream after which a comment is sent, so that nothing between cuts it."""
    drain_seconds: float = Field(default=30.0, ge=0)
    """After SIGTERM, how long requests under way may take to finish."""

    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    log_prompts: bool = False
    """Whether prompts stand in the log; nothing else ever writes them down."""
    otlp_endpoint: str | None = None
    """Where OpenTelemetry traces are sent, e.g. `http://collector:4318/v1/traces`; None traces nothing."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def check(self) -> None:
        """Refuse to be open to a network without keys.

        Raises:
            UserError: the host is not a loopback address and there is no file of keys.
        """
        if self.keys_file is None and not self.is_loopback:
            raise UserError(
                f"The server would listen on {self.host} for everyone, without keys. Give it a file of keys "
                "(keys_file), or listen on 127.0.0.1."
            )

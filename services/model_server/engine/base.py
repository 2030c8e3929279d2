"""What the server asks of an engine, in token ids: texts, names and permissions are the server's business."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from services.model_server.engine.iterations import NO_ITERATIONS, Iterations


class RequestClass(StrEnum):
    """Which queue a request waits in; the engine shares its steps between them, so none starves."""

    INTERACTIVE = "interactive"
    EVALUATION = "evaluation"


class EngineError(RuntimeError):
    """The engine could not do what it was asked; it goes on with everything else."""


class EngineRestartedError(EngineError):
    """What the request needs has gone: a process that hung or died, or a model. It may be sent again."""


class RequestRefusedError(EngineError):
    """The request itself is wrong; sent again it would fail again."""


class DeadlineExceededError(EngineError):
    """The request was not finished within its deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A model on this machine, verified: what an engine loads.

    Attributes:
        key: The name by which requests mean exactly these weights; a digest, never an alias.
        folder: Holds config.json, *.safetensors and tokenizer.json.
    """

    key: str
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What an engine knows of a model that it has loaded.

    Attributes:
        key: As in `ModelFolder`.
        architecture: The class of the model, e.g. `GraniteForCausalLM`.
        num_parameters: Distinct parameters.
        num_bytes: Memory that the weights take.
        vocabulary: Number of logits.
        max_length: Most tokens that prompt and continuation may have together.
    """

    key: str
    architecture: str
    num_parameters: int
    num_bytes: int
    vocabulary: int
    max_length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeBeam:
    """Tag-avoiding beam search (Maini et al. 2025, section 5): candidates likely to lead to a tag go.

    Attributes:
        tags: Ids of the tokens to stay away from.
        width: Beams kept, by log-probability.
        candidates: Continuations considered for each beam at each step.
        drop: Share of the candidates dropped for their P(tag next), the worst first.
    """

    tags: tuple[int, ...]
    width: int = 3
    candidates: int = 6
    drop: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOf:
    """Draw several continuations and keep the best.

    Attributes:
        draws: Continuations drawn for each one that is kept.
        by: `logprob` (mean log-probability a token) or `tag`: the lowest P(tag) over its tokens.
        tags: The tokens that `tag` is about.
    """

    draws: int
    by: Literal["logprob", "tag"] = "logprob"
    tags: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How one request's tokens are chosen.

    Attributes:
        max_tokens: New tokens at the most, for each draw.
        temperature: Divides the logits; 0 takes the likeliest token.
        top_p: Share of the probability that is drawn from.
        top_k: Number of tokens that are drawn from; None takes all.
        seed: Keys the generators: a draw depends on (seed, prompt, number of the draw) and on nothing else.
        key: Keys them instead: a draw depends on (key, number of the draw), as an evaluation's does.
        stop: Tokens that end a draw and are not part of its text. Where log-probabilities are asked for, the
            one that ended it is reported last.
        banned: Tokens that are never chosen.
        top_logprobs: How many alternatives each token is reported with; None reports no log-probability.
        strategy: Another way to choose than drawing token by token.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    seed: int = 0
    key: str | None = None
    stop: tuple[int, ...] = ()
    banned: tuple[int, ...] = ()
    top_logprobs: int | None = None
    strategy: SafeBeam | BestOf | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """Continue one prompt `draws` times.

    Attributes:
        model: Key of a loaded model.
        prompt: Token ids, at least one.
        draws: Independent continuations.
        deadline_seconds: From now; None waits for ever.
    """

    model: str
    prompt: tuple[int, ...]
    sampling: Sampling
    draws: int = 1
    request_class: RequestClass = RequestClass.INTERACTIVE
    deadline_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """Log-probabilities of tokens that are there already.

    Attributes:
        model: Key of a loaded model.
        sequences: Token ids of each text. Those that begin alike are read once.
        starts: For each sequence the first position (>= 1) whose token is scored, given all before it.
        top_logprobs: How many alternatives each scored token is reported with.
        next_token: Whether the likeliest token after the end is reported too.
        ranks: Whether each scored token is reported with its rank.
    """

    model: str
    sequences: tuple[tuple[int, ...], ...]
    starts: tuple[int, ...]
    top_logprobs: int = 0
    next_token: bool = False
    ranks: bool = False
    request_class: RequestClass = RequestClass.EVALUATION
    deadline_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """One token with its log-probability in nats (finite), and the likeliest alternatives, best first.

    The rank, 1 for the likeliest, is there where it was asked for.
    """

    id: int
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """New tokens of one draw; `finish` comes with the last of them."""

    draw: int
    tokens: tuple[Token, ...]
    finish: Literal["stop", "length"] | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """One sequence's tokens from its start on, and the likeliest token after it where that was asked for."""

    tokens: tuple[Token, ...]
    next: Token | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHealth:
    """How an engine is.

    Attributes:
        ready: It is up and answers.
        progressing: It has done a step lately, or has nothing to do.
        seconds_since_progress: Since it last did a step or was idle.
        restarts: How often its process had to be started anew.
        num_running: Sequences in the batch.
        num_waiting: Requests that have not begun.
        cache_usage: Share of the key-value memory in use, 0 to 1.
        iterations: Steps so far, all processes' together.
    """

    ready: bool
    progressing: bool
    seconds_since_progress: float
    restarts: int
    num_running: int
    num_waiting: int
    cache_usage: float
    iterations: Iterations = NO_ITERATIONS


class Engine(Protocol):
    """Models that answer, in token ids."""

    async def start(self) -> None:
        """Come up; returns when it answers."""
        ...

    async def stop(self) -> None:
        """Go down now; requests under way fail with `EngineRestartedError`."""
        ...

    async def load(self, model: ModelFolder) -> ModelFacts:
        """Load a model beside those that are loaded; raises `RequestRefusedError` if it can't run it."""
        ...

    async def unload(self, key: str) -> None:
        """Forget a model; one that is not loaded is no error."""
        ...

    def has(self, key: str) -> bool:
        """Whether a model is loaded or on its way; one that was may be lost in a restart."""
        ...

    def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        """Chunks as they are made; closing the iterator cancels the request within one step."""
        ...

    async def score(self, request: ScoreRequest) -> tuple[Scored, ...]:
        """Scores in the order of the sequences; cancelling the task cancels the request."""
        ...

    @property
    def health(self) -> EngineHealth:
        """How it is now, without asking it."""
        ...

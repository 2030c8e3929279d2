"""What vLLM answers: only the fields that are read, checked."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from services.model_server.engine.base import (
    EngineError,
    EngineRestartedError,
    Scored,
    ScoreRequest,
    Token,
)
from services.model_server.engine.vllm.bodies import reads_whole
from services.model_server.engine.watch import RESTARTED, Beat

_PLACEHOLDER = "token_id:"
_RUNNING = "vllm:num_requests_running"
_WAITING = "vllm:num_requests_waiting"
_CACHE = "vllm:kv_cache_usage_perc"
_STEPS = ("vllm:iteration_tokens_total_count", "vllm:prompt_tokens_total", "vllm:generation_tokens_total")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Logprobs(_Frozen):
    """Of new tokens: one entry each."""

    token_logprobs: tuple[float | None, ...]
    top_logprobs: tuple[dict[str, float | None] | None, ...]


class PromptToken(_Frozen):
    """One token at one place of the prompt."""

    logprob: float | None
    rank: int | None = None


class Choice(_Frozen):
    """New tokens of a continuation; of a stream, those that are new in this event."""

    token_ids: tuple[int, ...] | None = None
    logprobs: Logprobs | None = None
    prompt_logprobs: tuple[dict[int, PromptToken] | None, ...] | None = None
    finish_reason: str | None = None


class Problem(_Frozen):
    """What went wrong."""

    message: str = "it gives no reason"


class Reply(_Frozen):
    """A whole answer, an event of a stream, or an error."""

    choices: tuple[Choice, ...] = ()
    error: Problem | None = None


class ServedName(_Frozen):
    """A model that is served."""

    max_model_len: int


class Listing(_Frozen):
    """All of them."""

    data: tuple[ServedName, ...]


def tokens_of(choice: Choice, top: int | None) -> tuple[Token, ...]:
    """New tokens; `top` is the number of alternatives of each, None where no log-probability is told.

    Raises:
        EngineError: the values are no numbers, or vLLM is too old to tell ids.
    """
    if choice.token_ids is None:
        raise EngineError("vLLM's answers hold no token ids: version 0.10.2 or later is needed")
    if top is None or choice.logprobs is None:
        return tuple(Token(number) for number in choice.token_ids)
    return tuple(
        Token(number, _finite(value), _best({_id(text): v for text, v in (others or {}).items()}, top))
        for number, value, others in zip(
            choice.token_ids, choice.logprobs.token_logprobs, choice.logprobs.top_logprobs, strict=True
        )
    )


def finish_of(choice: Choice) -> Literal["stop", "length"] | None:
    """Whether and why a continuation has ended.

    Raises:
        EngineRestartedError: vLLM has given it up, as it does when it goes down.
    """
    match choice.finish_reason:
        case None:
            return None
        case "stop":
            return "stop"
        case "length":
            return "length"
        case _:
            raise EngineRestartedError(RESTARTED)


def scored(request: ScoreRequest, number: int, choice: Choice) -> Scored:
    """Scores of one sequence that `score_body` asked for.

    Raises:
        EngineError: the values are no numbers.
    """
    ids, start = request.sequences[number], request.starts[number]
    (following,) = tokens_of(choice, request.top_logprobs)
    end = len(ids) if reads_whole(request) else len(ids) - 1
    places = choice.prompt_logprobs or ()
    tokens = [_prompt_token(request, ids[place], places[place]) for place in range(start, end)]
    if not reads_whole(request):
        tokens.append(following)
    return Scored(tuple(tokens), following if request.next_token else None)


def beat_of(metrics: str) -> Beat:
    """How vLLM is, by its metrics, summed over its engines."""
    sums: dict[str, float] = {}
    cache = 0.0
    for line in metrics.splitlines():
        if line.startswith("vllm:"):
            name, value = line.partition("{")[0].split(" ")[0], float(line.rpartition(" ")[2])
            sums[name] = sums.get(name, 0.0) + value
            cache = max(cache, value) if name == _CACHE else cache
    running, waiting = int(sums.get(_RUNNING, 0)), int(sums.get(_WAITING, 0))
    return Beat(
        busy=running + waiting > 0,
        num_steps=int(sum(sums.get(name, 0) for name in _STEPS)),
        num_running=running,
        num_waiting=waiting,
        cache_usage=cache,
    )


def _prompt_token(request: ScoreRequest, number: int, place: dict[int, PromptToken] | None) -> Token:
    if place is None or number not in place:
        raise EngineError("vLLM did not tell the log-probability of a token that it has read")
    own = place[number]
    top = _best({other: one.logprob for other, one in place.items()}, request.top_logprobs)
    return Token(number, _finite(own.logprob), top, own.rank if request.ranks else None)


def _best(values: dict[int, float | None], top: int) -> tuple[tuple[int, float], ...]:
    """The likeliest; vLLM adds the token itself to those that are asked for."""
    pairs = [(number, _finite(value)) for number, value in values.items()]
    return tuple(sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:top])


def _finite(value: float | None) -> float:
    if value is None or not math.isfinite(value):
        raise EngineError("the model's outputs are not finite")
    return value


def _id(text: str) -> int:
    return int(text.removeprefix(_PLACEHOLDER))

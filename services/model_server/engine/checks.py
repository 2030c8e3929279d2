"""What is wrong with a request, found before it joins a batch."""

from collections.abc import Iterable

from services.model_server.engine.base import (
    BestOf,
    GenerateRequest,
    ModelFacts,
    RequestRefusedError,
    SafeBeam,
    Sampling,
    ScoreRequest,
)

MOST_LOGPROBS = 2**20
"""Of one answer, alternatives included: each takes some 100 bytes in either process until it is sent."""


def check(request: GenerateRequest | ScoreRequest, facts: ModelFacts) -> None:
    """Refuse what a model can't do.

    Raises:
        RequestRefusedError: says what was asked and what is possible.
    """
    if isinstance(request, ScoreRequest):
        _check_score(request, facts)
    else:
        _check_generate(request, facts)


def _check_generate(request: GenerateRequest, facts: ModelFacts) -> None:
    sampling = request.sampling
    _require(bool(request.prompt), "the prompt is empty: it needs one token at the least")
    _check_ids("the prompt", request.prompt, facts)
    _require(sampling.max_tokens >= 1, f"max_tokens is {sampling.max_tokens}; 1 is the least")
    _require(request.draws >= 1, f"draws is {request.draws}; 1 is the least")
    longest = len(request.prompt) + sampling.max_tokens
    _require(
        longest <= facts.max_length,
        f"the prompt's {len(request.prompt):,} tokens and {sampling.max_tokens:,} new ones make {longest:,}; "
        f"the model reads {facts.max_length:,}",
    )
    _check_sampling(sampling, facts)
    if sampling.top_logprobs is not None:
        _check_size(request.draws * sampling.max_tokens, sampling.top_logprobs)
    if isinstance(sampling.strategy, SafeBeam):
        _require(request.draws == 1, "SafeBeam finds one continuation; ask for one draw")


def _check_sampling(sampling: Sampling, facts: ModelFacts) -> None:
    _require(
        0.0 <= sampling.temperature <= 100.0, f"temperature is {sampling.temperature}; 0 to 100 are possible"
    )
    _require(0.0 < sampling.top_p <= 1.0, f"top_p is {sampling.top_p}; above 0, up to 1 is possible")
    _require(sampling.top_k is None or sampling.top_k >= 1, f"top_k is {sampling.top_k}; 1 is the least")
    _check_top(sampling.top_logprobs or 0, facts)
    _check_ids("stop", sampling.stop, facts)
    _check_ids("banned", sampling.banned, facts)
    never = {*sampling.banned}
    match sampling.strategy:
        case SafeBeam() as beam:
            _check_ids("tags", beam.tags, facts)
            never |= {*beam.tags}
            _require(beam.width >= 1 and beam.candidates >= 1, "width and candidates of SafeBeam begin at 1")
            _require(0.0 <= beam.drop < 1.0, f"drop is {beam.drop}; 0 up to, not including, 1 is possible")
        case BestOf() as best:
            _check_ids("tags", best.tags, facts)
            _require(best.draws >= 1, f"best-of has {best.draws} draws; 1 is the least")
            _require(best.by == "logprob" or bool(best.tags), "best-of by tag needs tags")
        case None:
            pass
    _require(len(never) < facts.vocabulary, "every token is banned")


def _check_score(request: ScoreRequest, facts: ModelFacts) -> None:
    _require(len(request.starts) == len(request.sequences), "starts has not one value for each sequence")
    _check_top(request.top_logprobs, facts)
    _check_size(sum(map(len, request.sequences)) - sum(request.starts), request.top_logprobs)
    for number, (ids, start) in enumerate(zip(request.sequences, request.starts, strict=True)):
        _require(
            1 <= start <= len(ids), f"sequence {number} of {len(ids)} tokens can't be scored from {start}"
        )
        _check_ids(f"sequence {number}", ids, facts)
        read = len(ids) if request.next_token else len(ids) - 1
        _require(
            read <= facts.max_length,
            f"sequence {number} has {read:,} tokens to be read; the model reads {facts.max_length:,}",
        )


def _check_top(count: int, facts: ModelFacts) -> None:
    _require(
        0 <= count <= facts.vocabulary,
        f"{count:,} alternatives are asked for; 0 to {facts.vocabulary:,} are possible",
    )


def _check_size(num_tokens: int, top: int) -> None:
    count = num_tokens * (1 + top)
    _require(
        count <= MOST_LOGPROBS,
        f"the answer would hold {count:,} log-probabilities; {MOST_LOGPROBS:,} are possible. Split the "
        "request, or ask for fewer alternatives",
    )


def _check_ids(name: str, ids: Iterable[int], facts: ModelFacts) -> None:
    wrong = [token for token in ids if not 0 <= token < facts.vocabulary]
    if wrong:
        raise RequestRefusedError(
            f"{name} holds the token {wrong[0]}; the model's are 0 to {facts.vocabulary - 1:,}"
        )


def _require(held: bool, message: str) -> None:
    if not held:
        raise RequestRefusedError(message)

"""From what a client asks to what an engine is asked: texts become ids, and what can't be is refused."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from parable.inference.codec import END
from services.model_server.api.errors import invalid
from services.model_server.api.long_texts import work_on_text
from services.model_server.api.schemas.common import Decoding, TokenOrText
from services.model_server.api.schemas.completions import CompletionRequest, Prompt
from services.model_server.engine.base import BestOf, RequestClass, SafeBeam, Sampling
from services.model_server.models.base import ServedModel

MOST_CHOICES = 1024
"""Choices of one request, over all of its prompts."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """The prompts' own tokens are scored.

    Attributes:
        top: Alternatives with each.
        next_token: Whether the likeliest token after each prompt is the answer: nothing need be generated.
        ranks: Whether each token's rank is told.
    """

    top: int
    next_token: bool
    ranks: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What one request comes to.

    Attributes:
        prompts: Token ids, at least one each.
        sampling: How continuations are chosen; None generates nothing.
        draws: Continuations of each prompt.
        stops: Strings that end a text.
        scoring: What is told of the prompts.
        silent: The end-of-text token: it has no text where it ends one.
    """

    prompts: tuple[tuple[int, ...], ...]
    sampling: Sampling | None
    draws: int
    stops: tuple[str, ...]
    request_class: RequestClass
    scoring: Scoring | None = None
    silent: int | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens that are read, and that may be made."""
        read = sum(map(len, self.prompts))
        if self.sampling is None:
            return read + len(self.prompts)
        paths = self.draws
        match self.sampling.strategy:
            case BestOf(draws=draws):
                paths *= draws
            case SafeBeam(width=width):
                paths *= width
            case None:
                pass
        return read + len(self.prompts) * paths * self.sampling.max_tokens

    @property
    def num_logprobs(self) -> int:
        """Log-probabilities that the answer may hold, those that it repeats for each draw included."""
        found = 0
        if self.scoring is not None:
            found += sum(map(len, self.prompts)) * self.draws * (1 + self.scoring.top)
        if self.sampling is not None and self.sampling.top_logprobs is not None:
            each = self.sampling.max_tokens * (1 + self.sampling.top_logprobs)
            found += len(self.prompts) * self.draws * each
        return found


async def plan_completion(body: CompletionRequest, served: ServedModel) -> Plan:
    """What a completion comes to.

    Raises:
        ApiError: the model can't do this.
    """
    _check_consistent(body)
    prompts = await _read_prompts(body, served)
    draws = body.n or 1
    if body.best_of not in (None, draws):
        raise invalid("best_of must equal n; use best_of_by to draw more than is answered.", "best_of")
    if len(prompts) * draws > MOST_CHOICES:
        raise invalid(
            f"{len(prompts)} prompts of {draws} choices are more than {MOST_CHOICES}; split the request.", "n"
        )
    is_scored = body.prompt_logprobs is not None or (bool(body.echo) and body.logprobs is not None)
    longest = max(map(len, prompts))
    room = served.facts.max_length - longest
    limit = min(16, max(0, room)) if body.max_tokens is None else body.max_tokens
    is_scoring = is_scored and limit <= 1
    # To score a text and the token after it, no more is read than the text.
    _check_length(longest, 0 if is_scoring and body.best_of_by is None else limit, served, "prompt")
    kind = (
        RequestClass.EVALUATION
        if is_scoring or body.prompt_logprobs is not None
        else RequestClass.INTERACTIVE
    )
    reads_next = is_scored and limit == 1 and _is_greedy(body) and draws == 1
    top = max(body.logprobs or 0, body.prompt_logprobs or 0)
    _check_top(served, logprobs=body.logprobs, prompt_logprobs=body.prompt_logprobs)
    sampling = None
    if limit and not reads_next:
        if room < limit:
            _check_length(longest, limit, served, "prompt")
        sampling = read_sampling(body, served, max_tokens=limit, top_logprobs=body.logprobs)
    return Plan(
        prompts,
        sampling,
        draws,
        body.stop or (),
        kind,
        Scoring(top, reads_next, ranks=body.prompt_logprobs is not None) if is_scored else None,
        _end(served),
    )


def plan_chat(
    body: Decoding, prompt: tuple[int, ...], served: ServedModel, *, limit: int | None, top: int | None
) -> Plan:
    """What an answer to a conversation comes to.

    Raises:
        ApiError: the model can't do this.
    """
    _check_consistent(body)
    ids = with_control(prompt, body.control, served)
    room = served.facts.max_length - len(ids)
    if limit is None:
        _check_length(len(ids), 1, served, "messages")
        limit = room
    _check_length(len(ids), limit, served, "messages")
    _check_top(served, top_logprobs=top)
    sampling = read_sampling(body, served, max_tokens=limit, top_logprobs=top) if limit else None
    end = _end(served)
    return Plan((ids,), sampling, body.n or 1, body.stop or (), RequestClass.INTERACTIVE, silent=end)


def read_sampling(
    body: Decoding, served: ServedModel, *, max_tokens: int, top_logprobs: int | None
) -> Sampling:
    """How tokens are chosen.

    Raises:
        ApiError: settings that contradict each other, or tokens that the model lacks.
    """
    strategy: SafeBeam | BestOf | None = None
    if body.safe_beam is not None:
        beam = body.safe_beam
        if (body.n or 1) != 1:
            raise invalid("safe_beam finds one continuation: n must be 1.", "n")
        tags = _token_ids(beam.tags, served, "safe_beam.tags")
        strategy = SafeBeam(tags=tags, width=beam.width, candidates=beam.candidates, drop=beam.drop)
    elif body.best_of_by is not None:
        best = body.best_of_by
        if best.by == "tag" and not best.tags:
            raise invalid("best_of_by by tag needs tags.", "best_of_by.tags")
        tags = _token_ids(best.tags, served, "best_of_by.tags") if best.by == "tag" else ()
        strategy = BestOf(draws=best.draws, by=best.by, tags=tags)
    return Sampling(
        max_tokens=max_tokens,
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        top_k=body.top_k if body.top_k is not None and body.top_k > 0 else None,
        seed=secrets.randbits(63) if body.seed is None else body.seed % 2**63,
        stop=() if (end := _end(served)) is None else (end,),
        banned=_token_ids(body.banned_tokens or (), served, "banned_tokens"),
        top_logprobs=top_logprobs,
        strategy=strategy,
    )


def with_control(ids: tuple[int, ...], control: str | None, served: ServedModel) -> tuple[int, ...]:
    """Ids with a control token where training put it: after the end-of-text token that begins a text."""
    if control is None:
        return ids
    token = served.codec.specials.get(control)
    if token is None:
        known = ", ".join(served.codec.specials) or "none"
        raise invalid(f"The model has no special token {control}; it has {known}.", "control")
    end = _end(served)
    if end is None:
        return (token, *ids)
    return (end, token, *(ids[1:] if ids[:1] == (end,) else ids))


def check_vocabulary(ids: Iterable[int], served: ServedModel, param: str) -> None:
    """Refuse ids that the model lacks."""
    wrong = next((token for token in ids if token >= served.facts.vocabulary), None)
    if wrong is not None:
        raise invalid(
            f"{param} holds the token {wrong}; the model's are 0 to {served.facts.vocabulary - 1:,}.", param
        )


async def _read_prompts(body: CompletionRequest, served: ServedModel) -> tuple[tuple[int, ...], ...]:
    if len(body.prompt) > MOST_CHOICES:
        raise invalid(
            f"{len(body.prompt)} prompts are more than {MOST_CHOICES}; split the request.", "prompt"
        )
    return tuple([await _read_prompt(one, body, served) for one in body.prompt])


async def _read_prompt(prompt: Prompt, body: CompletionRequest, served: ServedModel) -> tuple[int, ...]:
    if isinstance(prompt, str):
        ids = await work_on_text(len(prompt), lambda: served.codec.encode(prompt, parse_specials=True))
    else:
        check_vocabulary(prompt, served, "prompt")
        ids = prompt
    ids = with_control(ids, body.control, served)
    if not ids:
        raise invalid(f"The prompt is empty; {END} begins a text from nothing.", "prompt")
    return ids


def _token_ids(tokens: Iterable[TokenOrText], served: ServedModel, param: str) -> tuple[int, ...]:
    found = []
    for token in tokens:
        ids = (token,) if isinstance(token, int) else served.codec.encode(token, parse_specials=True)
        if len(ids) != 1:
            raise invalid(
                f"{param}: {token!r} is {len(ids)} tokens to this model; name single ones, or ids.", param
            )
        found.append(ids[0])
    check_vocabulary(found, served, param)
    return tuple(found)


def _check_length(num_read: int, num_new: int, served: ServedModel, param: str) -> None:
    most = served.facts.max_length
    if num_read + num_new > most:
        raise invalid(
            f"The {param}'s {num_read:,} tokens and {num_new:,} new ones make {num_read + num_new:,}; "
            f"{served.name} reads {most:,}.",
            param,
            "context_length_exceeded",
        )


def _check_top(served: ServedModel, **asked: int | None) -> None:
    for name, count in asked.items():
        if count is not None and count > served.facts.vocabulary:
            raise invalid(f"{name} is {count}; the model has {served.facts.vocabulary} tokens.", name)


def _check_consistent(body: Decoding) -> None:
    if body.stream_options is not None and not body.stream:
        raise invalid("stream_options is for streams: set stream to true.", "stream_options")
    if body.safe_beam is not None and body.best_of_by is not None:
        raise invalid("safe_beam and best_of_by are two strategies; choose one.", "safe_beam")


def _is_greedy(body: Decoding) -> bool:
    """Whether the likeliest token is the answer, whatever else is asked."""
    return body.temperature == 0 and not (body.banned_tokens or body.safe_beam or body.best_of_by)


def _end(served: ServedModel) -> int | None:
    return served.codec.specials.get(END)

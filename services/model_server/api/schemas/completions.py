"""`/v1/completions` as it is asked and answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from services.model_server.api.schemas.common import (
    MAX_CHOICES,
    MAX_TOKENS,
    MAX_TOP_LOGPROBS,
    WHOLE,
    Decoding,
    Finish,
    Usage,
    whole_text,
)

Prompt = str | tuple[int, ...]
"""A text, or token ids."""

_MAX_ID = 2**31 - 1


def _ids(value: list[Any]) -> tuple[int, ...]:
    found = [int(token) if type(token) is float and token.is_integer() else token for token in value]
    # True is an int to Python and no token to anyone.
    if not all(type(token) is int and 0 <= token <= _MAX_ID for token in found):
        raise ValueError("token ids must be integers from 0 on, and a list holds texts only or ids only")
    return tuple(found)


def _prompts(value: Any) -> tuple[Prompt, ...]:
    """By hand, because a union of lists would be tried, and its errors collected, element by element."""
    if isinstance(value, str):
        found: tuple[Prompt, ...] = (value,)
    elif not isinstance(value, list) or not value:
        raise ValueError("must be a text, a list of texts, a list of token ids, or a list of such lists")
    elif all(isinstance(one, str) for one in value):
        found = tuple(value)
    elif all(isinstance(one, list) for one in value):
        found = tuple(_ids(one) for one in value)
    else:
        found = (_ids(value),)
    for one in found:
        if not one:
            raise ValueError("holds an empty text; <|endoftext|> begins a text from nothing")
        if isinstance(one, str):
            whole_text(one)
    return found


_TEXT_SCHEMA = {"type": "string", "minLength": 1}
_IDS_SCHEMA = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": _MAX_ID},
    "minItems": 1,
}
Prompts = Annotated[
    tuple[Prompt, ...],
    PlainValidator(_prompts),
    WithJsonSchema(
        {
            "title": "Prompt",
            "anyOf": [
                _TEXT_SCHEMA,
                {"type": "array", "items": _TEXT_SCHEMA, "minItems": 1},
                _IDS_SCHEMA,
                {"type": "array", "items": _IDS_SCHEMA, "minItems": 1},
            ],
        }
    ),
]


class CompletionRequest(Decoding):
    """Continue texts. A special token that is written in one is that token; none is added unasked."""

    prompt: Prompts
    max_tokens: Annotated[int, Field(ge=0, le=MAX_TOKENS), WHOLE] | None = None
    """16 where it is not given."""
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS), WHOLE] | None = None
    """Alternatives told with each token, beside its own log-probability. The end-of-text token that ends a
    text is told last: it has no text."""
    prompt_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS), WHOLE] | None = None
    """Extension: the prompt's own tokens with so many alternatives each."""
    best_of: Annotated[int, Field(ge=1, le=MAX_CHOICES), WHOLE] | None = None
    """Accepted where it equals n; `best_of_by` draws more than it answers."""
    suffix: Literal[""] | None = None


@dataclass(frozen=True, slots=True)
class CompletionLogprobs:
    """One value a token; the first of a text has none."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]
    """Where each token begins in `text`."""


@dataclass(frozen=True, slots=True)
class PromptToken:
    """A token that stands at a place of the prompt, or could."""

    logprob: float
    rank: int | None
    """1 is the likeliest."""
    decoded_token: str


@dataclass(frozen=True, slots=True)
class CompletionChoice:
    """One continuation, or a piece of it."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: Finish | None
    prompt_logprobs: list[Mapping[str, PromptToken] | None] | None = None
    """By token id, the prompt's own token first; null for the first token."""


@dataclass(frozen=True, slots=True)
class CompletionAnswer:
    """The whole answer, or one event of a stream."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage | None

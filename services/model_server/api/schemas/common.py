"""What several requests have in common."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

MAX_CHOICES = 128
MAX_TOP_LOGPROBS = 20
MAX_STOPS = 32
MAX_TOKENS = 10_000_000
"""No model reads as many; a larger number is a slip."""
UNSUPPORTED = "unsupported_field"
"""Kind of the error of a field that is known and has a value that is not."""


class Strict(BaseModel):
    """A body of which every field is known, and nothing is turned into something else."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def _whole(value: Any) -> Any:
    """To JSON 1.0 is an integer as good as 1."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def whole_text(value: str) -> str:
    """The same text, which JSON's escapes can make of what is none.

    Raises:
        ValueError: it holds half of a surrogate pair.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("holds half of a surrogate pair, which is no text") from error
    return value


WHOLE = BeforeValidator(_whole)
Text = Annotated[str, AfterValidator(whole_text)]
"""Of any length. Those whose length is bounded are looked through for that reason already."""
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=512)]
TokenId = Annotated[int, Field(ge=0, le=2**31 - 1), WHOLE]
TokenOrText = TokenId | Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""A token by its id, or by how it is written: `<|bad|>`."""


def _stops(value: Any) -> Any:
    """One string means a list of it; null and [] mean none."""
    return [value] if isinstance(value, str) else value


Stops = Annotated[
    tuple[Annotated[str, StringConstraints(min_length=1, max_length=1024)], ...],
    Field(max_length=MAX_STOPS, strict=False),
]
StopField = Annotated[
    Stops | None,
    BeforeValidator(_stops),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": 1024},
                {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1, "maxLength": 1024},
                    "maxItems": MAX_STOPS,
                },
                {"type": "null"},
            ]
        }
    ),
]
TokenList = Annotated[tuple[TokenOrText, ...], Field(max_length=4096, strict=False)]


def _nothing(value: Any) -> Any:
    """What means that a field is not used."""
    if value:
        raise PydanticCustomError(UNSUPPORTED, "Not supported")
    return value


# A field that is not supported; what means nothing passes.
Null = Annotated[None, BeforeValidator(_nothing)]
# Literal[False] would take 0.
Off = Annotated[bool, AfterValidator(_nothing), WithJsonSchema({"type": "boolean", "const": False})] | None
Zero = (
    Annotated[float, AfterValidator(_nothing), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 0})]
    | None
)
Empty = (
    Annotated[
        dict[str, Any], AfterValidator(_nothing), WithJsonSchema({"type": "object", "maxProperties": 0})
    ]
    | None
)
EmptyList = (
    Annotated[
        tuple[Any, ...],
        Field(strict=False),
        AfterValidator(_nothing),
        WithJsonSchema({"type": "array", "items": {}, "maxItems": 0}),
    ]
    | None
)
Temperature = Annotated[float, Field(ge=0, le=100)]
TopP = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, WHOLE]
Label = Annotated[str, StringConstraints(max_length=512)] | None
"""Whom a client asks for, in its own words: accepted, and changes nothing."""


class StreamOptions(Strict):
    """How a stream ends."""

    include_usage: bool | None = None
    """Whether a last event tells the tokens used."""
    include_obfuscation: Off = None


class SafeBeamField(Strict):
    """Tag-avoiding beam search (Maini et al. 2025, section 5): what a tag is likely to follow is dropped."""

    tags: TokenList = Field(default=("<|bad|>",), min_length=1)
    width: Annotated[int, Field(ge=1, le=16), WHOLE] = 3
    candidates: Annotated[int, Field(ge=1, le=64), WHOLE] = 6
    drop: float = Field(default=0.5, ge=0, lt=1)


class BestOfField(Strict):
    """Several continuations are drawn for each that is answered, and the best is kept."""

    draws: Annotated[int, Field(ge=1, le=MAX_CHOICES), WHOLE]
    by: Literal["logprob", "tag"] = "logprob"
    """`logprob`: mean log-probability a token. `tag`: the lowest mean probability of a tag."""
    tags: TokenList = ("<|bad|>",)


class Decoding(Strict):
    """What both kinds of completion may ask for."""

    model: ModelName
    temperature: Temperature | None = None
    """0 takes the likeliest token; null means 1."""
    top_p: TopP | None = None
    top_k: Annotated[int, Field(ge=-1, le=2**31 - 1), WHOLE] | None = None
    """Extension. -1, 0 and null draw from all tokens."""
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES), WHOLE] | None = None
    seed: Seed | None = None
    """With a seed the answer depends on the request alone; without, each answer is another one."""
    stop: StopField = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    presence_penalty: Zero = None
    frequency_penalty: Zero = None
    logit_bias: Empty = None
    user: Label = None

    control: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    """Extension: a control token, e.g. `<|good|>`, put where training put it: after the end-of-text token
    that begins the text, which is added where it is missing."""
    banned_tokens: TokenList | None = None
    """Extension: tokens that are never chosen."""
    safe_beam: SafeBeamField | None = None
    """Extension: search instead of drawing; temperature, top_p and top_k do not apply."""
    best_of_by: BestOfField | None = None
    """Extension: keep the best of several draws."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and made, the one that ended a text included; what best-of dropped is not counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


Finish = Literal["stop", "length"]

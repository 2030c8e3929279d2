"""`/v1/chat/completions` as it is asked and answered."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from services.model_server.api.schemas.common import (
    MAX_TOKENS,
    MAX_TOP_LOGPROBS,
    WHOLE,
    Decoding,
    Empty,
    EmptyList,
    Finish,
    Label,
    Null,
    Off,
    Strict,
    Text,
    Usage,
)


class TextPart(Strict):
    """A piece of a message."""

    type: Literal["text"]
    text: Text


class Message(Strict):
    """One turn; what clients give back from an earlier answer passes where it is empty."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[tuple[TextPart, ...], Field(min_length=1, strict=False)]
    name: Annotated[str, Field(max_length=64, pattern="^[A-Za-z0-9_-]+$")] | None = None
    refusal: Null = None
    audio: Null = None
    function_call: Null = None
    tool_calls: EmptyList = None
    annotations: EmptyList = None

    @property
    def text(self) -> str:
        """All of it."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class TextFormat(Strict):
    """Plain text, the only form."""

    type: Literal["text"]


class ChatRequest(Decoding):
    """Answer a conversation by the template that the checkpoint itself declares."""

    messages: Annotated[tuple[Message, ...], Field(min_length=1, max_length=4096, strict=False)]
    max_tokens: Annotated[int, Field(ge=0, le=MAX_TOKENS), WHOLE] | None = None
    max_completion_tokens: Annotated[int, Field(ge=0, le=MAX_TOKENS), WHOLE] | None = None
    """The same; as much as the model has room for where neither is given."""
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS), WHOLE] | None = None

    response_format: TextFormat | None = None
    tools: EmptyList = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    functions: EmptyList = None
    function_call: Literal["none", "auto"] | None = None
    modalities: Annotated[tuple[Literal["text"], ...], Field(max_length=1, strict=False)] | None = None
    store: Off = None
    metadata: Empty = None
    service_tier: Literal["auto", "default"] | None = None
    audio: Null = None
    prediction: Null = None
    reasoning_effort: Null = None
    verbosity: Null = None
    web_search_options: Null = None
    moderation: Null = None
    prompt_cache_options: Null = None
    prompt_cache_retention: Null = None
    prompt_cache_key: Label = None
    safety_identifier: Label = None

    @property
    def limit(self) -> int | None:
        """New tokens at the most, where the client says so."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


@dataclass(frozen=True, slots=True)
class ChatTopLogprob:
    """A token that could have stood there."""

    token: str
    logprob: float
    bytes: list[int] | None


@dataclass(frozen=True, slots=True)
class ChatLogprob:
    """A token of the answer; null bytes where it is a piece of a character."""

    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[ChatTopLogprob]


@dataclass(frozen=True, slots=True)
class ChatLogprobs:
    """Those of the answer's tokens."""

    content: list[ChatLogprob]
    refusal: None = None


@dataclass(frozen=True, slots=True)
class AnswerMessage:
    """The assistant's turn."""

    role: Literal["assistant"]
    content: str
    refusal: None = None


@dataclass(frozen=True, slots=True)
class ChatChoice:
    """One answer."""

    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: Finish


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """The whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage


@dataclass(frozen=True, slots=True)
class FirstDelta:
    """Who speaks; begins each choice of a stream."""

    role: Literal["assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class ContentDelta:
    """More of the text."""

    content: str


@dataclass(frozen=True, slots=True)
class LastDelta:
    """Nothing more."""


@dataclass(frozen=True, slots=True)
class ChatChunkChoice:
    """A piece of an answer."""

    index: int
    delta: FirstDelta | ContentDelta | LastDelta
    logprobs: ChatLogprobs | None
    finish_reason: Finish | None


@dataclass(frozen=True, slots=True)
class ChatChunk:
    """One event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChunkChoice]
    usage: Usage | None

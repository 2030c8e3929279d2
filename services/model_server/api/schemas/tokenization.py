"""Texts and ids, and what stands between them."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from services.model_server.api.schemas.common import ModelName, Strict, Text, TokenId


class TokenizeRequest(Strict):
    """A text whose ids are asked for; a special token that is written in it is that token."""

    prompt: Text
    model: ModelName | None = None
    add_special_tokens: bool | None = None
    """Whether the end-of-text token that begins a document is put first; not where it is not given."""
    return_token_strs: bool | None = None


class DetokenizeRequest(Strict):
    """Ids whose text is asked for."""

    tokens: Annotated[tuple[TokenId, ...], Field(max_length=1_000_000, strict=False)]
    model: ModelName | None = None


@dataclass(frozen=True, slots=True)
class TokenizeAnswer:
    """A text's ids."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None


@dataclass(frozen=True, slots=True)
class DetokenizeAnswer:
    """The ids' text."""

    prompt: Text


@dataclass(frozen=True, slots=True)
class TokenizerInfo:
    """What a client needs to encode by itself."""

    model: str
    tokenizer_class: str
    bos_token: str | None
    eos_token: str | None
    pad_token: str | None
    special_tokens: dict[str, int]
    vocab_size: int
    model_max_length: int
    chat_template: str | None

"""KServe's open inference protocol, version 2; a text is BYTES, and JSON writes it as a string."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from services.model_server.api.schemas.common import (
    MAX_TOKENS,
    WHOLE,
    BestOfField,
    Off,
    SafeBeamField,
    Seed,
    StopField,
    Strict,
    Temperature,
    TokenList,
    TopP,
)

MAX_TEXTS = 256


class InferParameters(Strict):
    """How texts are continued; as in /v1/completions."""

    max_tokens: Annotated[int, Field(ge=0, le=MAX_TOKENS), WHOLE] | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: Annotated[int, Field(ge=-1, le=2**31 - 1), WHOLE] | None = None
    seed: Seed | None = None
    stop: StopField = None
    control: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    banned_tokens: TokenList | None = None
    safe_beam: SafeBeamField | None = None
    best_of_by: BestOfField | None = None
    binary_data_output: Off = None


class InputParameters(Strict):
    """How a tensor is written, as clients say it."""

    content_type: Literal["str"] | None = None


class OutputParameters(Strict):
    """How a tensor is to be written: as JSON, which is the only way."""

    binary_data: Off = None


def _flat(value: Any) -> Any:
    """[["a"], ["b"]] is how a tensor of shape [2, 1] is written when it is not flattened."""
    if isinstance(value, list) and all(isinstance(one, list) and len(one) == 1 for one in value):
        return [one[0] for one in value]
    return value


_TEXT_SCHEMA = {"type": "string", "minLength": 1}
_BOUNDS = {"type": "array", "minItems": 1, "maxItems": MAX_TEXTS}
_DATA_SCHEMA = {
    "anyOf": [
        {**_BOUNDS, "items": _TEXT_SCHEMA},
        {**_BOUNDS, "items": {"type": "array", "items": _TEXT_SCHEMA, "minItems": 1, "maxItems": 1}},
    ]
}


class InputTensor(Strict):
    """Texts to be continued."""

    name: Literal["text"]
    shape: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MAX_TEXTS), WHOLE], ...],
        Field(min_length=1, max_length=2, strict=False),
    ]
    """[number of texts], or [number of texts, 1]."""
    datatype: Literal["BYTES"]
    data: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(min_length=1, max_length=MAX_TEXTS, strict=False),
        BeforeValidator(_flat),
        WithJsonSchema(_DATA_SCHEMA),
    ]
    """Flat, or nested as the shape says."""
    parameters: InputParameters | None = None


class RequestedOutput(Strict):
    """What is to be told."""

    name: Literal["text"]
    parameters: OutputParameters | None = None


class InferRequest(Strict):
    """Continue texts."""

    id: Annotated[str, Field(max_length=128)] | None = None
    parameters: InferParameters | None = None
    inputs: Annotated[tuple[InputTensor, ...], Field(min_length=1, max_length=1, strict=False)]
    outputs: Annotated[tuple[RequestedOutput, ...], Field(max_length=1, strict=False)] | None = None


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """The continuations."""

    name: str
    shape: list[int]
    datatype: str
    data: list[str]


@dataclass(frozen=True, slots=True)
class InferAnswer:
    """One continuation for each text."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """What a tensor is."""

    name: str
    datatype: str
    shape: list[int]


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


@dataclass(frozen=True, slots=True)
class Live:
    """Whether it lives."""

    live: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """Whether it can answer."""

    ready: bool


@dataclass(frozen=True, slots=True)
class ModelReady:
    """Whether a model can answer at once."""

    name: str
    ready: bool

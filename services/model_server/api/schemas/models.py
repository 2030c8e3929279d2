"""Models as they are listed."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One checkpoint."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    digest: str
    """First 16 hexadecimal digits of the SHA-256 of the weights."""
    max_model_len: int | None
    step: int
    recipe: str | None
    arm: str | None
    seed: int | None
    aliases: list[str]
    artifact: str
    parents: dict[str, str]
    """Products that it was made of, by role."""
    loaded: bool
    default: bool


@dataclass(frozen=True, slots=True)
class ModelList:
    """All of them, the default first."""

    object: Literal["list"]
    data: list[ModelCard]

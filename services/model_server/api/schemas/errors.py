"""Errors as clients read them."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """What went wrong, in OpenAI's terms."""

    message: str
    type: str
    param: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """The body of every error but KServe's."""

    error: ErrorDetail


@dataclass(frozen=True, slots=True)
class KServeError:
    """The body of errors under /v2."""

    error: str


_STATUSES = {
    400: "The request is wrong; the message names the field.",
    401: "No key, or a wrong one.",
    403: "The key does not allow this.",
    404: "There is no such thing.",
    405: "The path has other methods.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    429: "The queue is full; Retry-After says when to come again.",
    500: "A fault of the server's.",
    503: "Not now; Retry-After says when to come again.",
}


def declared(*, kserve: bool = False) -> dict[int | str, dict[str, Any]]:
    """Every error that a route may answer with, for its description."""
    model = KServeError if kserve else ErrorAnswer
    return {status: {"model": model, "description": text} for status, text in _STATUSES.items()}

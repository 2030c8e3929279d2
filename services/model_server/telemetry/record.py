"""What is known of one request: filled in on its way, told in headers, log and metrics."""

import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

_KEY = "parable.record"


@dataclass(slots=True)
class RequestRecord:
    """One request, from its first byte to the last of its answer.

    Attributes:
        request_id: The client's own or ours.
        irid: Inspect's id of the request, where it sends one.
        route: The path as it was declared, so that its values are bounded.
        caller: Name of the key.
        model: Resolved name.
        weights: Digest of the weights that answered.
        queue_seconds: Waited for its turn.
        first_token_seconds: From its arrival to its first token.
        finish: Why its choices ended.
        prompts: What was asked, where the log is to hold it.
    """

    request_id: str
    irid: str | None = None
    method: str = ""
    route: str = ""
    caller: str | None = None
    model: str | None = None
    weights: str | None = None
    request_class: str | None = None
    stream: bool = False
    prompt_tokens: int = 0
    generation_tokens: int = 0
    queue_seconds: float | None = None
    first_token_seconds: float | None = None
    finish: list[str] = field(default_factory=list)
    error: str | None = None
    prompts: list[str] | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it arrived."""
        return time.monotonic() - self.started

    def headers(self) -> dict[str, str]:
        """What every answer carries."""
        found = {"x-request-id": self.request_id}
        if self.weights is not None:
            found["x-parable-weights"] = self.weights
        return found

    def put(self, scope: MutableMapping[str, Any]) -> None:
        """Let those who come later find it."""
        scope[_KEY] = self


def record_of(scope: Mapping[str, Any]) -> RequestRecord:
    """The record of the request that a connection carries."""
    found = scope[_KEY]
    assert isinstance(found, RequestRecord)
    return found

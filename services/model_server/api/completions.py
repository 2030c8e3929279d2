"""`/v1/completions`: texts continued, and the texts themselves scored."""

import time
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.model_server.access.scopes import Scope, needs
from services.model_server.api.completion_pieces import CompletionPieces, join
from services.model_server.api.disconnect import unless_gone
from services.model_server.api.entry import Ticket, enter
from services.model_server.api.plan import plan_completion
from services.model_server.api.schemas.common import Usage
from services.model_server.api.schemas.completions import (
    CompletionAnswer,
    CompletionChoice,
    CompletionRequest,
)
from services.model_server.api.schemas.errors import declared
from services.model_server.api.sse import DONE, EventStream, event

router = APIRouter(tags=["OpenAI"])
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": CompletionAnswer,
        "description": "The answer; with `stream`, events of the same shape that end with `[DONE]`.",
        "content": {"text/event-stream": {}},
    },
    **declared(),
}


@router.post("/v1/completions", responses=ANSWERS, response_class=Response)
@needs(Scope.INFER)
async def complete(request: Request, body: CompletionRequest) -> Response:
    """Continue texts; with `echo` and `logprobs`, score them.

    A special token that is written in a prompt is that token, and none is added: begin a prompt with
    `<|endoftext|>` to begin a document. `control`, `banned_tokens`, `safe_beam`, `best_of_by`, `top_k` and
    `prompt_logprobs` are extensions.
    """
    stream = bool(body.stream)
    ticket = await unless_gone(
        request, enter(request, body.model, lambda served: plan_completion(body, served), stream=stream)
    )
    answer = _Answer(ticket, body)
    if stream:
        keepalive = ticket.server.settings.keepalive_seconds
        return EventStream(answer.events(), release=ticket.stack.aclose, keepalive_seconds=keepalive)
    return await unless_gone(request, answer.whole())


class _Answer:
    """One answer, whole or as a stream."""

    def __init__(self, ticket: Ticket, body: CompletionRequest) -> None:
        self._ticket = ticket
        self._options = body.stream_options
        self._pieces = CompletionPieces(ticket, body)
        self._id = f"cmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())

    async def whole(self) -> Response:
        choices: dict[int, CompletionChoice] = {}
        async with self._ticket.stack:
            async for pieces in self._pieces.run():
                for piece in pieces:
                    choices[piece.index] = join(choices.get(piece.index), piece)
            self._pieces.note_end(choices.values())
        ordered = [choices[index] for index in sorted(choices)]
        body = orjson.dumps(self._body(ordered, self._pieces.usage))
        return Response(body, media_type="application/json")

    async def events(self) -> AsyncGenerator[bytes, None]:
        async for pieces in self._pieces.run():
            yield b"".join(event(self._body([piece], None)) for piece in pieces)
            self._pieces.note_end(pieces)
        if self._options is not None and self._options.include_usage:
            yield event(self._body([], self._pieces.usage))
        yield DONE

    def _body(self, choices: list[CompletionChoice], usage: Usage | None) -> CompletionAnswer:
        served = self._ticket.served
        return CompletionAnswer(
            self._id, "text_completion", self._created, served.name, served.digest, choices, usage
        )

"""`/v1/chat/completions`: conversations, by the template that the checkpoint itself declares."""

import time
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.model_server.access.scopes import Scope, needs
from services.model_server.api.choice_text import Piece
from services.model_server.api.continuations import Continuations
from services.model_server.api.disconnect import unless_gone
from services.model_server.api.entry import Ticket, enter
from services.model_server.api.errors import invalid
from services.model_server.api.logprobs import chat_logprobs
from services.model_server.api.long_texts import work_on_text
from services.model_server.api.plan import Plan, plan_chat
from services.model_server.api.schemas.chat import (
    AnswerMessage,
    ChatAnswer,
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatLogprobs,
    ChatRequest,
    ContentDelta,
    FirstDelta,
    LastDelta,
)
from services.model_server.api.schemas.common import Finish, Usage
from services.model_server.api.schemas.errors import declared
from services.model_server.api.sse import DONE, EventStream, event
from services.model_server.api.template import render_chat
from services.model_server.models.base import ServedModel

router = APIRouter(tags=["OpenAI"])
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ChatAnswer,
        "description": "The answer; with `stream`, events of `chat.completion.chunk` that end with `[DONE]`.",
        "content": {"text/event-stream": {}},
    },
    **declared(),
}


@router.post("/v1/chat/completions", responses=ANSWERS, response_class=Response)
@needs(Scope.INFER)
async def chat(request: Request, body: ChatRequest) -> Response:
    """Answer a conversation. A special token that is written in a message is plain text there."""
    stream = bool(body.stream)
    ticket = await unless_gone(
        request, enter(request, body.model, lambda served: _plan(body, served), stream=stream)
    )
    answer = _Answer(ticket, body)
    if stream:
        keepalive = ticket.server.settings.keepalive_seconds
        return EventStream(answer.events(), release=ticket.stack.aclose, keepalive_seconds=keepalive)
    return await unless_gone(request, answer.whole())


async def _plan(body: ChatRequest, served: ServedModel) -> Plan:
    limits = {body.max_tokens, body.max_completion_tokens} - {None}
    if len(limits) > 1:
        raise invalid("max_tokens and max_completion_tokens are one setting, and differ.", "max_tokens")
    if body.top_logprobs is not None and not body.logprobs:
        raise invalid("top_logprobs is told with log-probabilities: set logprobs to true.", "top_logprobs")
    top = (body.top_logprobs or 0) if body.logprobs else None
    length = sum(len(message.text) for message in body.messages)
    ids = await work_on_text(length, lambda: render_chat(served, body.messages))
    return plan_chat(body, ids, served, limit=body.limit, top=top)


@dataclass(slots=True)
class _Choice:
    piece: Piece = field(default_factory=Piece)
    finish: Finish = "length"


class _Answer:
    """One answer, whole or as a stream."""

    def __init__(self, ticket: Ticket, body: ChatRequest) -> None:
        self._ticket = ticket
        self._body = body
        self._texts = ticket.server.token_texts(ticket.served)
        self._continuations: Continuations | None = None
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())

    async def whole(self) -> Response:
        ticket = self._ticket
        choices = [_Choice() for _ in range(ticket.plan.draws)]
        async with ticket.stack:
            continuations = self._continuations = ticket.continuations()
            async for updates in continuations.updates():
                ticket.note_token()
                for update in updates:
                    choices[update.index].piece.extend(update.piece)
                    choices[update.index].finish = update.finish or "length"
        self._note_end([choice.finish for choice in choices])
        answer = ChatAnswer(
            self._id,
            "chat.completion",
            self._created,
            ticket.served.name,
            ticket.served.digest,
            [
                ChatChoice(
                    index,
                    AnswerMessage("assistant", choice.piece.text),
                    self._logprobs(choice.piece),
                    choice.finish,
                )
                for index, choice in enumerate(choices)
            ],
            self._usage(),
        )
        return Response(orjson.dumps(answer), media_type="application/json")

    async def events(self) -> AsyncGenerator[bytes, None]:
        ticket = self._ticket
        first = FirstDelta("assistant", "")
        yield b"".join(
            self._event([ChatChunkChoice(index, first, None, None)]) for index in range(ticket.plan.draws)
        )
        continuations = self._continuations = ticket.continuations()
        if ticket.plan.sampling is None:
            yield b"".join(
                self._event([ChatChunkChoice(index, LastDelta(), None, "length")])
                for index in range(ticket.plan.draws)
            )
        async for updates in continuations.updates():
            ticket.note_token()
            data = b""
            for update in updates:
                if update.piece.text or update.piece.tokens:
                    delta, logprobs = ContentDelta(update.piece.text), self._logprobs(update.piece)
                    data += self._event([ChatChunkChoice(update.index, delta, logprobs, None)])
                if update.finish is not None:
                    data += self._event([ChatChunkChoice(update.index, LastDelta(), None, update.finish)])
            yield data
            self._note_end([update.finish for update in updates if update.finish is not None])
        options = self._body.stream_options
        if options is not None and options.include_usage:
            yield self._event([], self._usage())
        yield DONE

    def _event(self, choices: list[ChatChunkChoice], usage: Usage | None = None) -> bytes:
        served = self._ticket.served
        return event(
            ChatChunk(
                self._id,
                "chat.completion.chunk",
                self._created,
                served.name,
                served.digest,
                choices,
                usage,
            )
        )

    def _logprobs(self, piece: Piece) -> ChatLogprobs | None:
        if not self._body.logprobs:
            return None
        return chat_logprobs(piece.tokens, self._texts, self._body.top_logprobs or 0)

    def _usage(self) -> Usage:
        num_read = self._ticket.record.prompt_tokens
        num_made = self._continuations.num_tokens if self._continuations else 0
        return Usage(num_read, num_made, num_read + num_made)

    def _note_end(self, finishes: list[Finish]) -> None:
        self._ticket.record.finish += finishes
        self._ticket.record.generation_tokens = self._usage().completion_tokens

"""A completion's choices piece by piece, for streams and for whole answers alike."""

from collections.abc import AsyncGenerator, Iterable

from services.model_server.api.choice_text import ChoiceText
from services.model_server.api.continuations import Continuations, Update
from services.model_server.api.entry import Ticket
from services.model_server.api.logprobs import (
    add_prompt,
    add_tokens,
    empty_logprobs,
    place_prompt,
    prompt_logprobs,
)
from services.model_server.api.schemas.common import Usage
from services.model_server.api.schemas.completions import (
    CompletionChoice,
    CompletionLogprobs,
    CompletionRequest,
)
from services.model_server.engine.base import Scored


class CompletionPieces:
    """Runs a completion."""

    def __init__(self, ticket: Ticket, body: CompletionRequest) -> None:
        """Nothing is asked of the engine yet."""
        self._ticket = ticket
        self._body = body
        self._texts = ticket.server.token_texts(ticket.served)
        self._continuations: Continuations | None = None
        self._shifts: list[int] = []
        """By prompt, the length of what is echoed before a continuation."""
        self._num_next = 0

    @property
    def usage(self) -> Usage:
        """Tokens so far."""
        num_made = self._num_next + (self._continuations.num_tokens if self._continuations else 0)
        num_read = self._ticket.record.prompt_tokens
        return Usage(num_read, num_made, num_read + num_made)

    async def run(self) -> AsyncGenerator[list[CompletionChoice], None]:
        """Pieces as they come: first what is told of the prompts, then the continuations."""
        ticket, plan = self._ticket, self._ticket.plan
        self._continuations = ticket.continuations()
        scored: tuple[Scored | None, ...] = (None,) * len(plan.prompts)
        if plan.scoring is not None:
            scored = await self._continuations.score()
        heads = [self._head(number, of_prompt) for number, of_prompt in enumerate(scored)]
        if self._body.echo or plan.scoring is not None or plan.sampling is None:
            yield [self._numbered(head, draw) for head in heads for draw in range(plan.draws)]
        async for updates in self._continuations.updates():
            ticket.note_token()
            yield [self._piece(update) for update in updates]

    def note_end(self, choices: Iterable[CompletionChoice]) -> None:
        """Remember how choices ended."""
        record = self._ticket.record
        record.finish += [choice.finish_reason for choice in choices if choice.finish_reason is not None]
        record.generation_tokens = self.usage.completion_tokens

    def _head(self, number: int, scored: Scored | None) -> CompletionChoice:
        """What is told of one prompt, with the token after it where that is all that is asked."""
        body, plan = self._body, self._ticket.plan
        prompt = plan.prompts[number]
        logprobs = None if body.logprobs is None else empty_logprobs()
        text, told = "", None
        if body.echo:
            text, offsets = place_prompt(self._ticket.served.codec, prompt, self._texts)
            if logprobs is not None and scored is not None:
                add_prompt(logprobs, prompt, offsets, scored.tokens, self._texts, body.logprobs or 0)
        self._shifts.append(len(text))
        if body.prompt_logprobs is not None and scored is not None:
            told = prompt_logprobs(scored.tokens, self._texts, body.prompt_logprobs)
        head = CompletionChoice(number * plan.draws, text, logprobs, None, told)
        if scored is not None and scored.next is not None:
            return self._with_next(head, scored)
        return _ended(head) if plan.sampling is None else head

    def _with_next(self, head: CompletionChoice, scored: Scored) -> CompletionChoice:
        assert scored.next is not None
        plan = self._ticket.plan
        self._ticket.note_token()
        self._num_next += 1
        piece = ChoiceText(self._ticket.served.codec, plan.stops, silent=plan.silent).push(
            [scored.next], last=True
        )
        if head.logprobs is not None:
            tokens = piece.tokens
            add_tokens(head.logprobs, tokens, self._texts, self._body.logprobs or 0, shift=len(head.text))
        stopped = piece.stopped or scored.next.id == plan.silent
        return CompletionChoice(
            head.index,
            head.text + piece.text,
            head.logprobs,
            "stop" if stopped else "length",
            head.prompt_logprobs,
        )

    def _numbered(self, head: CompletionChoice, draw: int) -> CompletionChoice:
        """The same head for each draw, with lists of its own."""
        copy = None
        if (of := head.logprobs) is not None:
            copy = CompletionLogprobs(
                list(of.tokens), list(of.token_logprobs), list(of.top_logprobs), list(of.text_offset)
            )
        return CompletionChoice(head.index + draw, head.text, copy, head.finish_reason, head.prompt_logprobs)

    def _piece(self, update: Update) -> CompletionChoice:
        logprobs = None
        if self._body.logprobs is not None:
            logprobs = empty_logprobs()
            shift = self._shifts[update.index // self._ticket.plan.draws]
            add_tokens(logprobs, update.piece.tokens, self._texts, self._body.logprobs, shift=shift)
        return CompletionChoice(update.index, update.piece.text, logprobs, update.finish)


def join(before: CompletionChoice | None, after: CompletionChoice) -> CompletionChoice:
    """A choice as far as it is known."""
    if before is None:
        return after
    if before.logprobs is not None and after.logprobs is not None:
        before.logprobs.tokens.extend(after.logprobs.tokens)
        before.logprobs.token_logprobs.extend(after.logprobs.token_logprobs)
        before.logprobs.top_logprobs.extend(after.logprobs.top_logprobs)
        before.logprobs.text_offset.extend(after.logprobs.text_offset)
    return CompletionChoice(
        before.index,
        before.text + after.text,
        before.logprobs,
        after.finish_reason or before.finish_reason,
        before.prompt_logprobs,
    )


def _ended(head: CompletionChoice) -> CompletionChoice:
    """Of which nothing follows."""
    return CompletionChoice(head.index, head.text, head.logprobs, "length", head.prompt_logprobs)

"""All continuations of one request while they grow."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, cast

from services.model_server.api.choice_text import ChoiceText, Piece
from services.model_server.api.plan import Plan
from services.model_server.engine.base import Chunk, Engine, GenerateRequest, Scored, ScoreRequest
from services.model_server.models.base import ServedModel


@dataclass(slots=True)
class Update:
    """What is new of one choice; `finish` comes with the last."""

    index: int
    piece: Piece
    finish: Literal["stop", "length"] | None = None


class Continuations:
    """Asks the engine for every prompt at once, and gives out what is there, joined by choice."""

    def __init__(self, engine: Engine, plan: Plan, served: ServedModel, deadline_seconds: float) -> None:
        """Nothing is asked yet."""
        self._engine = engine
        self._plan = plan
        self._served = served
        self._deadline = deadline_seconds
        num = len(plan.prompts) * plan.draws
        self._texts = [ChoiceText(served.codec, plan.stops, silent=plan.silent) for _ in range(num)]
        self._open = set(range(num))
        self._ready: deque[tuple[int, Chunk]] = deque()
        self._failure: BaseException | None = None
        self._news = asyncio.Event()
        self._pumps: dict[int, asyncio.Task[None]] = {}

    @property
    def num_tokens(self) -> int:
        """Tokens made so far, as far as they are part of a text."""
        return sum(text.num_tokens for text in self._texts)

    async def score(self) -> tuple[Scored, ...]:
        """Scores of the prompts."""
        plan = self._plan
        assert plan.scoring is not None
        return await self._engine.score(
            ScoreRequest(
                model=self._served.key,
                sequences=plan.prompts,
                starts=(1,) * len(plan.prompts),
                top_logprobs=plan.scoring.top,
                next_token=plan.scoring.next_token,
                ranks=plan.scoring.ranks,
                request_class=plan.request_class,
                deadline_seconds=self._deadline,
            )
        )

    async def updates(self) -> AsyncGenerator[list[Update], None]:
        """What is new, as soon as there is anything; closing it cancels what is under way."""
        if self._plan.sampling is None:
            return
        for number in range(len(self._plan.prompts)):
            self._pumps[number] = asyncio.create_task(self._pump(number))
        try:
            while self._open:
                await self._news.wait()
                self._news.clear()
                if updates := self._take():
                    yield updates
                if self._failure is not None:
                    raise self._failure
        finally:
            for pump in self._pumps.values():
                pump.cancel()
            await asyncio.gather(*self._pumps.values(), return_exceptions=True)

    async def _pump(self, number: int) -> None:
        """Bring the chunks of one prompt."""
        plan = self._plan
        assert plan.sampling is not None
        request = GenerateRequest(
            model=self._served.key,
            prompt=plan.prompts[number],
            sampling=plan.sampling,
            draws=plan.draws,
            request_class=plan.request_class,
            deadline_seconds=self._deadline,
        )
        try:
            chunks = cast(AsyncGenerator[Chunk, None], self._engine.generate(request))
            async with aclosing(chunks):
                async for chunk in chunks:
                    self._ready.append((number, chunk))
                    self._news.set()
        except Exception as error:
            self._failure = error
            self._news.set()
            raise

    def _take(self) -> list[Update]:
        updates: dict[int, Update] = {}
        while self._ready:
            number, chunk = self._ready.popleft()
            index = number * self._plan.draws + chunk.draw
            if index not in self._open:
                continue
            piece = self._texts[index].push(chunk.tokens, last=chunk.finish is not None)
            update = updates.setdefault(index, Update(index, Piece()))
            update.piece.extend(piece)
            if chunk.finish == "stop" and not (piece.stopped or self._tells_all):
                self._texts[index].num_tokens += 1  # The token that ended it.
            update.finish = "stop" if piece.stopped else chunk.finish
            if update.finish is not None:
                self._close(index)
        return [one for one in updates.values() if one.finish or one.piece.text or one.piece.tokens]

    @property
    def _tells_all(self) -> bool:
        """Whether the engine reports the token that ends a text, as vLLM does, with its log-probability."""
        return self._plan.sampling is not None and self._plan.sampling.top_logprobs is not None

    def _close(self, index: int) -> None:
        """A choice has ended; when all of its prompt have, the engine need not go on."""
        self._open.discard(index)
        number = index // self._plan.draws
        first = number * self._plan.draws
        if self._open.isdisjoint(range(first, first + self._plan.draws)):
            self._pumps[number].cancel()

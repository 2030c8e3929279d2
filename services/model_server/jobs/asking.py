"""Puts the stage's questions to an engine, as `components.evaluate` puts them to a model of its own."""

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from components.evaluate import Answer, Choose, Continue, Read, Request
from parable.inference import Codec, Span
from services.model_server.engine.base import (
    Engine,
    EngineError,
    EngineRestartedError,
    GenerateRequest,
    RequestClass,
    Sampling,
    Scored,
    ScoreRequest,
)
from services.model_server.jobs.order import JobSettings

NUM_ATTEMPTS = 3
"""How often questions are sent to an engine whose process ends over them."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why a question has no answer, and never will."""

    reason: str


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks one model.

    Attributes:
        engine: Where it is loaded.
        model: Its key there.
        codec: Its tokenizer, as the stage uses it.
        settings: How it is asked.
    """

    engine: Engine
    model: str
    codec: Codec
    settings: JobSettings

    async def ask(self, requests: Sequence[Request]) -> list[Answer | Unanswered]:
        """Answer all, in order; where that fails, one by one, so that only the guilty stay unanswered.

        Raises:
            EngineError: the engine or the model fails at what is in order, too.
        """
        try:
            return list(await self._retry(requests))
        except EngineError:
            pass
        answers: list[Answer | Unanswered] = []
        for request in requests:
            try:
                answers += await self._retry([request])
            except EngineError as error:
                answers.append(Unanswered(str(error)))
        if any(isinstance(answer, Unanswered) for answer in answers):
            await self._probe()
        return answers

    async def _probe(self) -> None:
        """Ask what any model can answer: a fault of the engine's must not pass for one of a question's."""
        end = self.codec.end
        await self.engine.score(ScoreRequest(model=self.model, sequences=((end, end),), starts=(1,)))

    async def _retry(self, requests: Sequence[Request]) -> list[Answer]:
        for _ in range(NUM_ATTEMPTS - 1):
            with suppress(EngineRestartedError):
                return await self._ask(requests)
        return await self._ask(requests)

    async def _ask(self, requests: Sequence[Request]) -> list[Answer]:
        scored = [(n, request) for n, request in enumerate(requests) if not isinstance(request, Continue)]
        drawn = [(n, request) for n, request in enumerate(requests) if isinstance(request, Continue)]
        try:
            async with asyncio.TaskGroup() as group:
                scores = group.create_task(self._score([request for _, request in scored]))
                draws = [group.create_task(self._draw(request)) for _, request in drawn]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        answers = dict(zip([n for n, _ in scored], scores.result(), strict=True))
        answers |= zip([n for n, _ in drawn], [draw.result() for draw in draws], strict=True)
        return [answers[number] for number in range(len(requests))]

    async def _score(self, requests: Sequence[Choose | Read]) -> list[Answer]:
        if not requests:
            return []
        groups = [self._spans(request) for request in requests]
        spans = [span for group in groups for question in group for span in question]
        found = await self.engine.score(
            ScoreRequest(
                model=self.model,
                sequences=tuple(span.ids for span in spans),
                starts=tuple(span.start for span in spans),
                request_class=RequestClass.EVALUATION,
            )
        )
        scores = iter(found)
        answers = []
        for request, group in zip(requests, groups, strict=True):
            by_span = [[_log_probabilities(next(scores)) for _ in question] for question in group]
            if isinstance(request, Read):
                answers.append(Answer(log_probabilities=(tuple(by_span[0][0]),)))
            else:
                sums = tuple(tuple(map(math.fsum, question)) for question in by_span)
                answers.append(Answer(log_probabilities=sums))
        return answers

    def _spans(self, request: Choose | Read) -> list[tuple[Span, ...]]:
        control = self.settings.control
        if isinstance(request, Choose):
            return self.codec.choices(request.questions, control=control)
        return [(self.codec.document(request.document.text, control=control),)]

    async def _draw(self, request: Continue) -> Answer:
        sampling, codec = self.settings.sampling, self.codec
        tokens: list[list[int]] = [[] for _ in range(sampling.per_item)]
        chunks = self.engine.generate(
            GenerateRequest(
                model=self.model,
                prompt=codec.prompt(request.item.prefix, control=self.settings.control),
                draws=sampling.per_item,
                sampling=Sampling(
                    max_tokens=sampling.max_tokens,
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    # As in the stage: a sample does not change when items are added.
                    key=request.item.id,
                    stop=(codec.end,),
                    banned=codec.controls,
                ),
                request_class=RequestClass.EVALUATION,
            )
        )
        async for chunk in chunks:
            tokens[chunk.draw] += [token.id for token in chunk.tokens]
        return Answer(texts=tuple(map(codec.decode, tokens)))


def _log_probabilities(scored: Scored) -> list[float]:
    return [token.logprob for token in scored.tokens]

"""The continuations of one request while vLLM makes them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from services.model_server.engine.base import BestOf, Chunk, GenerateRequest, Token
from services.model_server.engine.vllm.bodies import Body
from services.model_server.engine.vllm.client import VllmClient
from services.model_server.engine.vllm.replies import finish_of, tokens_of


class Draws:
    """Asks for all of them at once, and gives out what comes; of best-of only the best."""

    def __init__(self, client: VllmClient, request: GenerateRequest, bodies: Sequence[Body]) -> None:
        """Begin to ask, in the running event loop; there is one body for each draw."""
        self._client = client
        self._sampling = request.sampling
        strategy = request.sampling.strategy
        self._best_of = strategy if isinstance(strategy, BestOf) else None
        self._ended: dict[int, list[tuple[int, Chunk]]] = {}
        self._news: asyncio.Queue[Chunk | Exception] = asyncio.Queue()
        self._tasks = [asyncio.create_task(self._pump(number, body)) for number, body in enumerate(bodies)]

    async def next(self) -> Chunk:
        """The next chunk of any of them; raises what one of them failed with."""
        news = await self._news.get()
        if isinstance(news, Exception):
            raise news
        return news

    async def close(self) -> None:
        """End what is under way, in vLLM too."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pump(self, number: int, body: Body) -> None:
        """Bring what is made of one draw."""
        try:
            async with aclosing(self._chunks(number, body)) as chunks:
                if self._best_of is None:
                    async for chunk in chunks:
                        self._tell(chunk)
                else:
                    self._compare(number, _join([chunk async for chunk in chunks]), self._best_of)
        except Exception as error:
            self._news.put_nowait(error)
            raise

    async def _chunks(self, number: int, body: Body) -> AsyncGenerator[Chunk, None]:
        async with aclosing(self._client.stream(body)) as choices:
            async for choice in choices:
                yield Chunk(number, tokens_of(choice, body.get("logprobs")), finish_of(choice))

    def _tell(self, chunk: Chunk) -> None:
        tokens = chunk.tokens
        if self._sampling.top_logprobs is None:
            tokens = tuple(Token(token.id) for token in self._text(chunk))
        if tokens or chunk.finish is not None:
            self._news.put_nowait(Chunk(chunk.draw, tokens, chunk.finish))

    def _text(self, chunk: Chunk) -> tuple[Token, ...]:
        """Without the token that ended it."""
        ended = chunk.finish == "stop" and chunk.tokens and chunk.tokens[-1].id in self._sampling.stop
        return chunk.tokens[:-1] if ended else chunk.tokens

    def _compare(self, number: int, whole: Chunk, best_of: BestOf) -> None:
        """Once all draws for one that is kept are there, tell that likeliest a token; of equals the first."""
        kept = number // best_of.draws
        ended = self._ended.setdefault(kept, [])
        ended.append((number, whole))
        if len(ended) == best_of.draws:
            _, best = max(ended, key=lambda draw: (self._merit(draw[1]), -draw[0]))
            self._tell(Chunk(kept, best.tokens, best.finish))

    def _merit(self, whole: Chunk) -> float:
        text = self._text(whole)
        return sum(token.logprob for token in text) / len(text) if text else float("-inf")


def _join(chunks: Sequence[Chunk]) -> Chunk:
    last = chunks[-1]
    return Chunk(last.draw, tuple(token for chunk in chunks for token in chunk.tokens), last.finish)

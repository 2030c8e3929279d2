"""Where the answer to one request is put as it comes, and waited for."""

import asyncio
from typing import Any

from services.model_server.engine.base import Chunk, EngineError, Scored
from services.model_server.engine.wire import chunk, scored


class Mailbox:
    """Joins what a slow reader has not fetched yet, so it holds one answer at the most."""

    def __init__(self) -> None:
        """Begin empty."""
        self._news = asyncio.Event()
        self._error: EngineError | None = None
        self._tokens: dict[int, tuple[list[Any], Any]] = {}
        self._scores: list[list[Any]] | None = None

    def put_tokens(self, draw: int, tokens: list[Any], finish: Any) -> None:
        """New tokens of a draw."""
        before, _ = self._tokens.get(draw, ([], None))
        self._tokens[draw] = (before + tokens, finish)
        self._news.set()

    def put_scores(self, scores: list[list[Any]]) -> None:
        """All scores."""
        self._scores = scores
        self._news.set()

    def fail(self, error: EngineError) -> None:
        """No answer will come."""
        self._error = error
        self._news.set()

    async def chunks(self) -> list[Chunk]:
        """What has come since the last call, at least one; raises what the request failed with."""
        await self._wait()
        taken, self._tokens = self._tokens, {}
        return [chunk(draw, tokens, finish) for draw, (tokens, finish) in taken.items()]

    async def scores(self) -> tuple[Scored, ...]:
        """All scores; raises what the request failed with."""
        await self._wait()
        assert self._scores is not None
        return tuple(scored(plain) for plain in self._scores)

    async def _wait(self) -> None:
        await self._news.wait()
        self._news.clear()
        if self._error is not None:
            raise self._error

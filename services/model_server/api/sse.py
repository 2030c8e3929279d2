"""Server-sent events: joined where several are ready, never waited for, cut off when nobody reads them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.model_server.api.errors import ApiError, as_api_error
from services.model_server.api.schemas.errors import ErrorAnswer
from services.model_server.engine.base import EngineError
from services.model_server.telemetry.record import record_of

DONE = b"data: [DONE]\n\n"
_ALIVE = b": still here\n\n"


def event(value: Any) -> bytes:
    """One event of JSON."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


class EventStream(Response):
    """Sends what a generator gives.

    A failure midway is an event of its own, the last but `[DONE]`. When the client hangs up the generator
    is closed, and what it holds is let go.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        release: Callable[[], Awaitable[None]],
        keepalive_seconds: float,
    ) -> None:
        """Send events.

        Args:
            events: whole events, one or several at once.
            release: is awaited at the end, however that comes.
            keepalive_seconds: after so much silence a comment is sent.
        """
        self.status_code = 200
        self.background = None
        self.body = b""
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})
        self._events = events
        self._release = release
        self._keepalive = keepalive_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until the client has gone."""
        sending = asyncio.create_task(self._send_all(scope, send))
        watching = asyncio.create_task(wait_until_gone(receive))
        try:
            await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                await sending
            else:
                record_of(scope).error = "client_gone"
        finally:
            for task in (sending, watching):
                task.cancel()
            await asyncio.gather(sending, watching, return_exceptions=True)
            await self._events.aclose()
            await self._release()

    async def _send_all(self, scope: Scope, send: Send) -> None:
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        try:
            async with aclosing(self._alive()) as alive:
                async for data in alive:
                    await send({"type": "http.response.body", "body": data, "more_body": True})
        except (ApiError, EngineError) as error:
            await self._fail(scope, send, as_api_error(error))
        except Exception as error:
            await self._fail(scope, send, as_api_error(error))
            raise
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _fail(self, scope: Scope, send: Send, error: ApiError) -> None:
        record_of(scope).error = error.code or str(error.status)
        data = event(ErrorAnswer(error.detail)) + DONE
        await send({"type": "http.response.body", "body": data, "more_body": True})

    async def _alive(self) -> AsyncGenerator[bytes, None]:
        """The events, and comments in between where they are long in coming."""
        while True:
            following = asyncio.ensure_future(anext(self._events))
            try:
                while not (await asyncio.wait({following}, timeout=self._keepalive))[0]:
                    yield _ALIVE
                data = following.result()
            except StopAsyncIteration:
                return
            finally:
                if not following.done():
                    following.cancel()
                    with suppress(asyncio.CancelledError, StopAsyncIteration):
                        await following
                elif not following.cancelled():
                    # Asked for, or asyncio complains that nobody did where this was cancelled with it.
                    following.exception()
            yield data


async def wait_until_gone(receive: Receive) -> None:
    """Return when the client hangs up; its body must have been read."""
    with suppress(ClientDisconnect):
        while (await receive())["type"] != "http.disconnect":
            pass

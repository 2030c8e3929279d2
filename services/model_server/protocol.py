"""HTTP as uvicorn speaks it, with bounds on what comes before there is a request that anyone could refuse."""

import asyncio
from typing import Any, cast

import orjson
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.model_server.api.schemas.errors import ErrorAnswer, ErrorDetail
from services.model_server.server import Server

MOST_HEAD_BYTES = 2**16
_TOO_LARGE = orjson.dumps(
    ErrorAnswer(
        ErrorDetail(
            f"The request's line and headers are larger than {MOST_HEAD_BYTES:,} bytes.",
            "invalid_request_error",
            None,
            "head_too_large",
        )
    )
)
_REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_TOO_LARGE), _TOO_LARGE)
)


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection whose request line and headers are too large, or too long in coming.

    Between requests uvicorn's own limit holds.
    """

    def __init__(self, config: Any, *args: Any, **values: Any) -> None:
        """As uvicorn calls it."""
        super().__init__(config, *args, **values)
        server: Server = cast(FastAPI, config.app).state.server
        self._patience = server.settings.body_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._num_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Someone has come."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """They have gone."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Part of a request has come."""
        if self._timer is not None:
            self._num_bytes += len(data)
        super().data_received(data)
        if self._timer is not None and self._num_bytes > MOST_HEAD_BYTES:
            self._end_head()
            self.transport.write(_REFUSAL)
            self.transport.close()

    def on_message_begin(self) -> None:
        """The first byte of a request has come."""
        super().on_message_begin()
        self._begin_head()

    def on_headers_complete(self) -> None:
        """From here on it is the application's."""
        self._end_head()
        super().on_headers_complete()

    def _begin_head(self) -> None:
        if self._timer is None:
            self._num_bytes = 0
            self._timer = self.loop.call_later(self._patience, self.transport.close)

    def _end_head(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

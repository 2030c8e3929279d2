"""HTTP as uvicorn speaks it, with bounds on what no application sees, or could not refuse any more."""

import asyncio
import resource
from typing import Any, cast

import orjson
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.model_server.api.schemas.errors import ErrorAnswer, ErrorDetail
from services.model_server.server import Server

MOST_HEAD_BYTES = 2**16
MOST_FRAME_BYTES = 2**20
"""What may come with a body that is none of it: the sizes of its chunks, and headers after the last."""
_LEAST_READ_BYTES = 2**14
"""Of an answer that waits to be read, what must be read while a body would be waited for."""
_OTHER_FILES = 256
"""What the process opens beside connections: the store, weights, the engine, the metrics' port."""
_SPARE_CONNECTIONS = 64
"""One too many is held until it can be told so; with so many of these, others are cut off unheard."""
_SPARE_SECONDS = 1.0
_HEALTH = (b"GET /health/", b"GET /v2/health/")
"""A server that is full is not dead: this is answered on a connection too many."""


def _refusal(status: bytes, kind: str, code: str, message: str) -> bytes:
    body = orjson.dumps(ErrorAnswer(ErrorDetail(message, kind, None, code)))
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (status, len(body)) + body


_TOO_LARGE = _refusal(
    b"431 Request Header Fields Too Large",
    "invalid_request_error",
    "head_too_large",
    f"The request's line and headers are larger than {MOST_HEAD_BYTES:,} bytes.",
)
_NO_HTTP = _refusal(
    b"400 Bad Request", "invalid_request_error", "invalid_http", "This is no request as HTTP/1.1 has them."
)
_TOO_MANY = _refusal(
    b"503 Service Unavailable\r\nretry-after: 1",
    "service_unavailable_error",
    "too_many_connections",
    "The server holds as many connections as it may.",
)


def most_connections(wanted: int) -> int:
    """So many, or fewer where the process may not open as many files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(files - _OTHER_FILES, files // 2))


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection that is one too many, that sends too much or too slowly, or does not read.

    Between requests uvicorn's own limit holds.
    """

    def __init__(self, config: Any, *args: Any, **values: Any) -> None:
        """As uvicorn calls it."""
        super().__init__(config, *args, **values)
        server: Server = cast(FastAPI, config.app).state.server
        self._patience = server.settings.body_seconds
        self._most_connections = most_connections(server.settings.max_connections)
        self._is_one_too_many = False
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._num_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Someone has come."""
        super().connection_made(transport)
        num_too_many = len(self.connections) - self._most_connections
        if num_too_many > _SPARE_CONNECTIONS:
            transport.abort()
        elif num_too_many > 0:
            self._is_one_too_many = True
            self._patience = min(self._patience, _SPARE_SECONDS)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """They have gone."""
        self._end_head()
        self._end_reading()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Part of a request has come."""
        if self._is_one_too_many and not data.startswith(_HEALTH):
            self._refuse(_TOO_MANY)
            return
        self._num_bytes += len(data)
        super().data_received(data)
        if self._timer is not None and self._num_bytes > MOST_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._num_bytes > MOST_FRAME_BYTES:
            # An answer may be under way: there is no place for another.
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """What has come can't be read."""
        del msg
        self._refuse(_NO_HTTP)

    def pause_writing(self) -> None:
        """An answer waits to be read."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """It is being read."""
        self._end_reading()
        super().resume_writing()

    def on_message_begin(self) -> None:
        """The first byte of a request has come."""
        super().on_message_begin()
        self._begin_head()

    def on_headers_complete(self) -> None:
        """From here on it is the application's."""
        self._end_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of a body has come, which the application bounds."""
        self._num_bytes -= len(body)
        super().on_body(body)

    def _begin_head(self) -> None:
        if self._timer is None:
            self._num_bytes = 0
            self._timer = self.loop.call_later(self._patience, self.transport.close)

    def _end_head(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, answer: bytes) -> None:
        self._end_head()
        self.transport.write(answer)
        self.transport.close()

    def _wait_for_reader(self) -> None:
        size = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(self._patience, self._check_reader, size)

    def _check_reader(self, before: int) -> None:
        if before - self.transport.get_write_buffer_size() < _LEAST_READ_BYTES:
            self.transport.abort()
        else:
            self._wait_for_reader()

    def _end_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

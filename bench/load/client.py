"""A light HTTP client: on one machine, what a request costs here is taken from the server it measures."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httptools

CONNECT_SECONDS = 10.0


@dataclass(slots=True)
class Answer:
    """What came back, and when.

    Attributes:
        status: As HTTP has it; 0 until it is known.
        headers: By their names in lower case.
        pieces: The body as it came: the clock (`time.perf_counter`) and the bytes.
        ended: The clock at the last byte.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    ended: float = 0.0

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(data for _, data in self.pieces)


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.num_served = 0
        self.has_begun = False
        self._answer = Answer()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._parser: httptools.HttpResponseParser | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Answer:
        assert self._transport is not None
        self._answer = Answer()
        self.has_begun = False
        self._parser = httptools.HttpResponseParser(self)
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiter
        finally:
            self._waiter = None
            self.num_served += 1

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        assert self._parser is not None
        self.has_begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_exception(ConnectionResetError(f"no HTTP: {error}"))
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        self._answer.pieces.append((time.perf_counter(), data))

    def on_message_complete(self) -> None:
        assert self._parser is not None and self._transport is not None
        self._answer.status = self._parser.get_status_code()
        self._answer.ended = time.perf_counter()
        if not self._parser.should_keep_alive():
            self._transport.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(self._answer)


class Client:
    """Keeps as many connections open as it has needed at once."""

    def __init__(self, url: str, *, key: str | None = None, timeout_seconds: float = 300.0) -> None:
        """Ask the server at a URL, such as `http://127.0.0.1:8000`; nothing is connected yet."""
        parts = urlsplit(url)
        assert parts.scheme == "http" and parts.hostname is not None
        self._host, self._port = parts.hostname, parts.port or 80
        self._head = f"host: {parts.netloc}\r\ncontent-type: application/json\r\n"
        if key is not None:
            self._head += f"authorization: Bearer {key}\r\n"
        self._timeout = timeout_seconds
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a body of JSON.

        Raises:
            OSError: there was no answer, or half of one.
            TimeoutError: it did not come in time.
        """
        return await self._ask("POST", path, body)

    async def get(self, path: str) -> Answer:
        """Ask for a path; raises as `post`."""
        return await self._ask("GET", path, b"")

    def close(self) -> None:
        """Close all connections that nobody uses."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _ask(self, method: str, path: str, body: bytes) -> Answer:
        head = f"{method} {path} HTTP/1.1\r\n{self._head}content-length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        async with asyncio.timeout(self._timeout):
            while True:
                connection = await self._connection()
                try:
                    answer = await connection.ask(request)
                except ConnectionError:
                    # A server may close an idle connection just when it is used again. But half an answer is
                    # a broken one, and to ask again would hide it.
                    if connection.num_served > 1 and not connection.has_begun:
                        continue
                    raise
                except BaseException:
                    connection.close()
                    raise
                if connection.is_open:
                    self._idle.append(connection)
                return answer

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                _, made = await loop.create_connection(_Connection, self._host, self._port)
                return made
        raise ConnectionRefusedError(f"{self._host}:{self._port} takes no connection")

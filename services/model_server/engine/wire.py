"""Frames between the server and its engine's process: four bytes of length, then JSON. No pickle.

Requests go one way, what a step brought comes back joined: one frame a step for all requests.
"""

import asyncio
import selectors
import socket
import struct
from typing import Any

import orjson

from services.model_server.engine.base import (
    BestOf,
    Chunk,
    GenerateRequest,
    RequestClass,
    SafeBeam,
    Sampling,
    Scored,
    ScoreRequest,
    Token,
)

MAX_FRAME_BYTES = 2**28
MAX_UNSENT_BYTES = 2**25
"""A process whose frames are not read stops working until they are."""
_HEAD = struct.Struct(">I")
_READ_BYTES = 2**18
Frame = dict[str, Any]
"""What is sent may hold dataclasses: they come as dictionaries."""


class FrameTooLargeError(ValueError):
    """A frame is larger than the other side will take."""


def to_bytes(frame: Frame) -> bytes:
    """A frame as it is sent.

    Raises:
        FrameTooLargeError: it is larger than `MAX_FRAME_BYTES`.
    """
    body = orjson.dumps(frame)
    if len(body) > MAX_FRAME_BYTES:
        raise FrameTooLargeError(f"a frame of {len(body):,} bytes; {MAX_FRAME_BYTES:,} are the most")
    return _HEAD.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame, or None at the end.

    Raises:
        FrameTooLargeError: what comes is no frame.
    """
    try:
        (length,) = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        if length > MAX_FRAME_BYTES:
            raise FrameTooLargeError(f"a frame of {length:,} bytes is announced")
        frame: Frame = orjson.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return frame


class FrameSocket:
    """The engine's end: never waits longer than it is told to."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connected socket."""
        connection.setblocking(False)
        self._socket = connection
        self._received = bytearray()
        self._unsent = bytearray()
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ)

    @property
    def clogged(self) -> bool:
        """Whether the other side reads too slowly."""
        return len(self._unsent) > MAX_UNSENT_BYTES

    def send(self, frame: Frame) -> None:
        """Send what can be sent now; the rest goes with later calls. Raises as `to_bytes`."""
        self._unsent += to_bytes(frame)
        self._flush()

    def receive(self, timeout_seconds: float) -> list[Frame]:
        """Frames that have come, after waiting so long at the most where there is none.

        Raises:
            EOFError: the other side has gone.
        """
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._socket, wanted)
        for _, events in self._selector.select(timeout_seconds):
            if events & selectors.EVENT_WRITE:
                self._flush()
            if events & selectors.EVENT_READ:
                data = self._socket.recv(_READ_BYTES)
                if not data:
                    raise EOFError("the server has gone")
                self._received += data
        return self._whole_frames()

    def _whole_frames(self) -> list[Frame]:
        frames = []
        start = 0
        while len(self._received) - start >= _HEAD.size:
            (length,) = _HEAD.unpack_from(self._received, start)
            end = start + _HEAD.size + length
            if len(self._received) < end:
                break
            frames.append(orjson.loads(memoryview(self._received)[start + _HEAD.size : end]))
            start = end
        del self._received[:start]
        return frames

    def _flush(self) -> None:
        try:
            while self._unsent:
                with memoryview(self._unsent) as view:
                    sent = self._socket.send(view[:_READ_BYTES])
                del self._unsent[:sent]
        except BlockingIOError:
            return


def generate_request(plain: Frame) -> GenerateRequest:
    """A request that came in a frame."""
    sampling = plain["sampling"]
    strategy: SafeBeam | BestOf | None = None
    if (values := sampling["strategy"]) is not None:
        values["tags"] = tuple(values["tags"])
        strategy = BestOf(**values) if "draws" in values else SafeBeam(**values)
    sampling |= {"stop": tuple(sampling["stop"]), "banned": tuple(sampling["banned"]), "strategy": strategy}
    return GenerateRequest(
        **{**plain, "prompt": tuple(plain["prompt"]), "sampling": Sampling(**sampling)}
        | {"request_class": RequestClass(plain["request_class"])}
    )


def score_request(plain: Frame) -> ScoreRequest:
    """A request that came in a frame."""
    return ScoreRequest(
        **plain
        | {
            "sequences": tuple(tuple(ids) for ids in plain["sequences"]),
            "starts": tuple(plain["starts"]),
            "request_class": RequestClass(plain["request_class"]),
        }
    )


def token(plain: Any) -> Token:
    """A token that came as a bare id, or as [id, log-probability, alternatives], with a rank or without."""
    if isinstance(plain, int):
        return Token(plain)
    number, logprob, top, *rank = plain
    return Token(number, logprob, tuple((other, value) for other, value in top), *rank)


def chunk(draw: int, tokens: list[Any], finish: Any) -> Chunk:
    """New tokens of a draw."""
    return Chunk(draw, tuple(token(plain) for plain in tokens), finish)


def scored(plain: list[Any]) -> Scored:
    """One text's scores."""
    tokens, following = plain
    return Scored(tuple(token(one) for one in tokens), None if following is None else token(following))

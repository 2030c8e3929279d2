"""Frames arrive whole, in order and equal, however the bytes are cut."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from services.model_server.engine import wire
from services.model_server.engine.base import (
    BestOf,
    GenerateRequest,
    RequestClass,
    SafeBeam,
    Sampling,
    Scored,
    ScoreRequest,
    Token,
)

FRAMES: list[wire.Frame] = [{"a": 1}, {}, {"b": ["ä" * 1000, None, 1.5]}, {"c": list(range(100_000))}]


def test_frames_survive_any_cut() -> None:
    ours, theirs = socket.socketpair()
    receiver, data = wire.FrameSocket(ours), b"".join(map(wire.to_bytes, FRAMES))
    found = []
    with ours, theirs:
        for start in range(0, len(data), 7001):
            theirs.sendall(data[start : start + 7001])
            found += receiver.receive(1.0)
    assert found == FRAMES


def test_what_is_not_read_is_kept_and_sent_later() -> None:
    async def scenario() -> None:
        ours, theirs = socket.socketpair()
        sender = wire.FrameSocket(theirs)
        frame = {"x": "y" * 2**20}
        count = 2 * wire.MAX_UNSENT_BYTES // 2**20
        for _ in range(count):
            sender.send(frame)
        clogged = sender.clogged
        reader, writer = await asyncio.open_connection(sock=ours)
        reading = asyncio.create_task(_read_frames(reader, count))
        while not reading.done():
            sender.receive(0.0)
            await asyncio.sleep(0)
        assert reading.result() == [frame] * count
        assert (clogged, sender.clogged) == (True, False)
        writer.close()
        await writer.wait_closed()
        theirs.close()

    asyncio.run(scenario())


def test_the_other_sides_end_is_seen() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        with pytest.raises(EOFError):
            wire.FrameSocket(ours).receive(1.0)


def test_a_frame_that_is_too_large_is_refused_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_FRAME_BYTES", 10)
    with pytest.raises(wire.FrameTooLargeError, match="10 are the most"):
        wire.to_bytes({"a": "0123456789"})

    async def read() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(struct.pack(">I", 11))
        await wire.read_frame(reader)

    with pytest.raises(wire.FrameTooLargeError, match="11 bytes"):
        asyncio.run(read())


@pytest.mark.parametrize(
    "strategy", [None, SafeBeam(tags=(1, 2), width=2), BestOf(draws=3, by="tag", tags=(4,))]
)
def test_a_generate_request_travels_unchanged(strategy: SafeBeam | BestOf | None) -> None:
    sampling = Sampling(max_tokens=3, stop=(0,), banned=(1, 2), top_k=4, strategy=strategy)
    request = GenerateRequest(
        model="m", prompt=(1, 2), sampling=sampling, draws=2, request_class=RequestClass.EVALUATION
    )
    assert wire.generate_request(_sent({"request": request})["request"]) == request


def test_a_score_request_travels_unchanged() -> None:
    request = ScoreRequest(model="m", sequences=((1, 2), (3,)), starts=(1, 1), next_token=True)
    assert wire.score_request(_sent({"request": request})["request"]) == request


def test_answers_are_read_back() -> None:
    assert wire.chunk(1, [5, [6, -0.5, [[6, -0.5]]]], "stop").tokens == (
        Token(5),
        Token(6, -0.5, ((6, -0.5),)),
    )
    assert wire.scored([[[6, -1.0, []]], None]) == Scored((Token(6, -1.0),))


def _sent(frame: wire.Frame) -> wire.Frame:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.FrameSocket(theirs).send(frame)
        (found,) = wire.FrameSocket(ours).receive(1.0)
    return found


async def _read_frames(reader: asyncio.StreamReader, count: int) -> list[wire.Frame | None]:
    return [await wire.read_frame(reader) for _ in range(count)]

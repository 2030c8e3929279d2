"""Waiting for what happens elsewhere, without a guess of how long it takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 60.0
Found = TypeVar("Found")


def until(
    condition: Callable[[], bool],
    tell: Callable[[], object] = lambda: "it did not come to that",
    *,
    seconds: float = PATIENCE_SECONDS,
) -> None:
    """Return when a condition holds; fail with what `tell` says when that takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, tell()
        time.sleep(0.01)


async def eventually(found: Callable[[], Found], *, seconds: float = PATIENCE_SECONDS) -> Found:
    """What is found first that counts as true, while the loop goes on; fails when that takes too long."""
    async with asyncio.timeout(seconds):
        while not (value := found()):
            await asyncio.sleep(0.01)
    return value

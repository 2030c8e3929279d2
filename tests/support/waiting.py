"""Waiting for what happens elsewhere, without a guess of how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0


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

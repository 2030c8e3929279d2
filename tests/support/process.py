"""What the servers under test share: a free port, a death with the parent, a wait without sleep."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

IN_CI = os.environ.get("CI", "").lower() == "true"

_SAY_SECONDS = 120.0
_HANDED_OUT_TO_NOBODY = range(20_000, 30_000)
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def free_port() -> int:
    """A loopback port that was free a moment ago, and that no system hands out by itself.

    So nothing takes it by chance: neither before a server is there, nor while one is down.
    """
    while True:
        port = secrets.choice(_HANDED_OUT_TO_NOBODY)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def spawn(command: Sequence[str], *, env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a server that writes to `log` and, on Linux, dies when the tests are killed."""

    def die_with_parent() -> None:
        assert _LIBC is not None
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent if _LIBC is not None else None,
        )


def said(process: subprocess.Popen[bytes], log: Path, pattern: str) -> str:
    """The group of a pattern in what a process has said, as soon as it has; a port that it chose, say."""
    deadline = time.monotonic() + _SAY_SECONDS
    while (found := re.search(pattern, log.read_text(errors="replace"))) is None:
        assert time.monotonic() < deadline and process.poll() is None, log.read_text(errors="replace")
        time.sleep(0.02)
    return found[1]


def answers(process: subprocess.Popen[bytes], url: str, *, timeout_seconds: float) -> bool:
    """Poll `url` until it answers 200.

    Returns:
        True when it answered; False when the process ended or the time ran out first.
    """
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline and process.poll() is None:
        # A refused or half-open connection is what a starting server looks like.
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(url, timeout=1) as response,
        ):
            if response.status == 200:
                return process.poll() is None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
    return False


def end(process: subprocess.Popen[bytes], *, timeout_seconds: float = 10) -> None:
    """Ask a process to end, and kill it when it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()

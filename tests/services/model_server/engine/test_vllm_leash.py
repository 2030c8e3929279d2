"""The leash: nothing that it runs outlives it, or whoever holds it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from services.model_server.engine.vllm.process import LEASH
from tests.support.waiting import until

PATIENCE_SECONDS = 20.0
# A server with a process below it, as vLLM has, which it leaves alone when it is killed.
FAMILY = """
import pathlib, signal, subprocess, sys, time
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
{}
pathlib.Path(sys.argv[1]).write_text(str(inner.pid))
time.sleep(600)
"""
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def _start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", str(LEASH), *command], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _end(leash: subprocess.Popen[bytes]) -> int:
    with leash:
        return leash.wait(PATIENCE_SECONDS)


def _is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _family(tmp_path: Path, setting: str = "") -> tuple[subprocess.Popen[bytes], int, int]:
    """A leash with its command and that command's child."""
    told = tmp_path / "pid"
    leash = _start(sys.executable, "-c", FAMILY.format(setting), str(told))
    until(lambda: told.exists() and bool(told.read_text()), seconds=PATIENCE_SECONDS)
    (server,) = psutil.Process(leash.pid).children()
    return leash, server.pid, int(told.read_text())


def test_the_status_is_the_commands() -> None:
    assert _end(_start(sys.executable, "-c", "raise SystemExit(3)")) == 3
    assert _end(_start(sys.executable, "-c", "")) == 0


def test_a_signal_is_told_as_a_shell_does() -> None:
    leash = _start(sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert _end(leash) == 128 + signal.SIGKILL


def test_a_command_that_is_not_there_is_said() -> None:
    leash = _start("no-such-program")
    assert leash.stderr is not None
    assert leash.stderr.read() == b"no-such-program: No such file or directory\n"
    assert _end(leash) == 127


@pytest.mark.parametrize("setting", ["", DEAF], ids=["obedient", "deaf"])
def test_all_end_when_the_holder_lets_go(tmp_path: Path, setting: str) -> None:
    leash, server, inner = _family(tmp_path, setting)
    assert leash.stdin is not None
    leash.stdin.close()
    assert _end(leash) == 128 + (signal.SIGKILL if setting else signal.SIGTERM)
    assert _is_gone(server)
    assert _is_gone(inner)


def test_what_a_killed_command_leaves_goes_too(tmp_path: Path) -> None:
    leash, server, inner = _family(tmp_path)
    os.kill(server, signal.SIGKILL)
    assert _end(leash) == 128 + signal.SIGKILL
    assert _is_gone(inner)


def test_all_end_when_the_holder_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    command = [sys.executable, "-I", str(LEASH), sys.executable, "-c", FAMILY.format(""), str(told)]
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import subprocess; subprocess.Popen({command!r}, stdin=subprocess.PIPE).wait()",
        ]
    )
    until(lambda: told.exists() and bool(told.read_text()), seconds=PATIENCE_SECONDS)
    family = psutil.Process(holder.pid).children(recursive=True)
    assert len(family) == 3
    holder.kill()
    holder.wait()
    until(lambda: all(_is_gone(one.pid) for one in family), seconds=PATIENCE_SECONDS)

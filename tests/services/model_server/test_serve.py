"""A server as a process: its ports, its signals, its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from parable.errors import UserError
from services.model_server import ServerSettings, create_app, run_server
from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.support.waiting import PATIENCE_SECONDS, until

ROOT = Path(__file__).resolve().parents[3]
ASK = {"model": "latest", "prompt": "A tale", "seed": 1}
LONG_SECONDS = 3600.0
"""Whoever waits for the drain to end waits longer than any test."""


class Program:
    """The server, running."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        port, self.metrics_port = json.loads(process.stdout.readline())
        self.url = f"http://127.0.0.1:{port}"

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS, trust_env=False)

    def is_up(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def let_go(self) -> None:
        """What was asked of the engine may be finished from now on."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self, kind: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal; it has been taken when this returns."""
        self.process.send_signal(kind)
        with self.client() as client:
            until(lambda: client.get("/health/ready").status_code == 503)


@contextmanager
def _program(**settings: Any) -> Iterator[Program]:
    told = json.dumps({"port": 0, "metrics_port": 0, "drain_seconds": LONG_SECONDS, **settings})
    command = [sys.executable, "-m", "tests.services.model_server.stand_in_server", told]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            program = Program(process)
            until(program.is_up)
            yield program
        finally:
            process.kill()


def _in_background(program: Program, **fields: Any) -> tuple[threading.Thread, list[httpx.Response]]:
    found: list[httpx.Response] = []

    def ask() -> None:
        with program.client() as client, suppress(httpx.TransportError):
            found.append(client.post("/v1/completions", json={**ASK, **fields}))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, found


def _wait_until_busy(program: Program) -> None:
    url, running = f"http://127.0.0.1:{program.metrics_port}/metrics", 'running{class="interactive"} 1.0'
    until(lambda: f"parable_num_requests_{running}" in httpx.get(url, trust_env=False).text)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_what_is_under_way_is_finished_and_nothing_new_begins(kind: signal.Signals, stream: bool) -> None:
    with _program() as program:
        thread, found = _in_background(program, max_tokens=60, stream=stream)
        _wait_until_busy(program)
        program.end(kind)
        with program.client() as client:
            assert client.get("/health/live").status_code == 200
            refused = client.post("/v1/completions", json=ASK)
        program.let_go()
        thread.join()
        assert program.process.wait(PATIENCE_SECONDS) == 0
        assert program.process.stdout is not None and program.process.stdout.read() == "ended\n"
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    (answer,) = found
    assert answer.status_code == 200
    assert (
        answer.text.endswith("data: [DONE]\n\n")
        if stream
        else answer.json()["usage"]["completion_tokens"] == 60
    )


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_not_finished_in_time_gets_an_error_and_no_broken_connection(stream: bool) -> None:
    with _program(drain_seconds=0.3) as program:
        thread, found = _in_background(program, max_tokens=100, stream=stream)
        _wait_until_busy(program)
        program.process.terminate()
        assert program.process.wait(PATIENCE_SECONDS) == 0
        thread.join()
    (answer,) = found
    if stream:
        *_, last, done, _ = answer.text.split("\n\n")
        assert (json.loads(last.removeprefix("data: "))["error"]["code"], done) == (
            "engine_restarted",
            "data: [DONE]",
        )
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_restarted")


def test_a_second_signal_ends_it_at_once() -> None:
    with _program() as program:
        thread, found = _in_background(program, max_tokens=100, stream=True)
        _wait_until_busy(program)
        program.end()
        program.process.terminate()
        assert program.process.wait(PATIENCE_SECONDS) == 0
        thread.join()
    # What was under way learns of it.
    assert "engine_restarted" in found[0].text and found[0].text.endswith("data: [DONE]\n\n")


def test_an_idle_server_ends_at_once() -> None:
    with _program() as program:
        program.process.terminate()
        assert program.process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.parametrize("name", ["port", "metrics_port"])
def test_a_port_that_is_taken_is_said(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"port": 0, "metrics_port": None, name: taken.getsockname()[1]}
        settings = ServerSettings.model_validate(ports)
        app = create_app(settings, engine=BigramEngine({"a": table(0)}), models=FixedModels())
        with pytest.raises(UserError, match=rf"{ports[name]}.*Address already in use.*another"):
            run_server(app)

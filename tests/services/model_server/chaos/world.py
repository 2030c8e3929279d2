"""A whole server as a process of its own, and what can be seen of it from outside."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from services.model_server import ServerSettings
from services.model_server.engine.options import EngineOptions
from tests.services.model_server.chaos.program import Told
from tests.support.waiting import PATIENCE_SECONDS, until

ROOT = Path(__file__).resolve().parents[4]
PLAIN, OTHER = "toy.plain.seed-0", "toy.other.seed-0"
START_SECONDS = 120.0
IDLE = {
    'parable_num_requests_running{class="interactive"}': 0.0,
    'parable_num_requests_running{class="evaluation"}': 0.0,
    'parable_num_requests_waiting{class="interactive"}': 0.0,
    'parable_num_requests_waiting{class="evaluation"}': 0.0,
    "parable_engine_running": 0.0,
    "parable_engine_waiting": 0.0,
    "parable_kv_cache_usage_perc": 0.0,
}
"""What a server without work says of itself."""


@dataclass
class Serving:
    """A running server.

    Attributes:
        url: Of the API.
        metrics_url: Of the metrics.
        log: What it has logged.
    """

    process: subprocess.Popen[str]
    url: str
    metrics_url: str
    log: Path

    def client(self, **headers: str) -> httpx.Client:
        """A client of it; the caller closes it."""
        return httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS, headers=headers, trust_env=False)

    def async_client(self, **headers: str) -> httpx.AsyncClient:
        """Another one, that opens as many connections as there are requests."""
        limits = httpx.Limits(max_connections=None)
        return httpx.AsyncClient(
            base_url=self.url, timeout=PATIENCE_SECONDS, headers=headers, limits=limits, trust_env=False
        )

    def not_ready(self) -> str | None:
        """Why it says that requests should not be sent to it, or None."""
        reason: str | None = self._get("/health/ready").json()["reason"]
        return reason

    def metrics(self) -> dict[str, float]:
        """Every sample by its name with its labels, as Prometheus writes it."""
        text = httpx.get(self.metrics_url, timeout=PATIENCE_SECONDS, trust_env=False).text
        return {
            _name(sample.name, sample.labels): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def num_answers(self) -> Counter[str]:
        """Its answers so far, by status; those on its health are not counted."""
        found: Counter[str] = Counter()
        for name, value in self.metrics().items():
            if name.startswith("parable_http_requests_total") and "/health/" not in name:
                found[name.rpartition('status="')[2].partition('"')[0]] += int(value)
        return found

    def wait_until_idle(self) -> None:
        """Return when nothing is left of any request."""
        until(lambda: self.work_left() == {}, lambda: self.work_left())

    def work_left(self) -> dict[str, float]:
        """What of `IDLE` does not hold."""
        found = self.metrics()
        return {name: found[name] for name in IDLE if found[name] != IDLE[name]}

    @property
    def engine(self) -> psutil.Process:
        """The engine's process."""
        (found,) = [
            child
            for child in psutil.Process(self.process.pid).children()
            if "services.model_server.engine.child" in child.cmdline()
        ]
        return found

    def rss(self) -> tuple[int, int]:
        """Resident bytes of the server and of its engine."""
        return psutil.Process(self.process.pid).memory_info().rss, self.engine.memory_info().rss

    def wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            with suppress(httpx.TransportError):
                if self.not_ready() is None:
                    return
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=PATIENCE_SECONDS, trust_env=False)


@contextmanager
def serving(
    store: str,
    folder: Path,
    *,
    engine: Mapping[str, Any] | None = None,
    memory_bytes: int = 2**28,
    environment: Mapping[str, str] | None = None,
    **settings: Any,
) -> Iterator[Serving]:
    """A server over a store until the block ends; by then it may have ended by itself.

    Args:
        store: its address.
        folder: for its cache and its log; servers may share it.
        engine: `EngineOptions`' fields.
        memory_bytes: for models.
        environment: variables on top of the tests' own.
        settings: `ServerSettings`' fields.
    """
    told = Told(
        settings=ServerSettings(
            **{"port": 0, "metrics_port": 0, "store": store, "cache": folder / "cache", **settings}
        ),
        engine=EngineOptions(**{"num_threads": 1, "beat_seconds": 0.1, **(engine or {})}),
        memory_bytes=memory_bytes,
        poll_seconds=0.2,
    )
    log = folder / f"server-{random.getrandbits(32):08x}.log"
    command = [sys.executable, "-m", "tests.services.model_server.chaos.program", told.model_dump_json()]
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {}), "PYTHONPATH": str(ROOT)},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            port, metrics_port = json.loads(line)
            found = Serving(
                process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}/metrics", log
            )
            found.wait_until_ready()
            yield found
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """By a signal that it can't miss, after one that lets it remove its files; a stopped engine goes too."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(15)
    process.kill()


def _name(name: str, labels: Mapping[str, str]) -> str:
    told = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{told}}}" if told else name

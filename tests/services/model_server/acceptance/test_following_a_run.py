"""The whole command trains, is killed midway and goes on, while a server over the same store follows it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from parable.artifact import Product, exists
from parable.runs import read_pointers
from parable.store import LocalStore
from tests.support.process import answers, end, free_port, spawn
from tests.support.small_run import (
    PARABLE,
    QUICKSTART,
    StartedRun,
    parable,
    small_settings,
    write_passages,
)

ARMS = ("unfiltered", "filtered", "aligned", "misaligned", "neutral")


@contextmanager
def served(store: Path, folder: Path) -> Iterator[httpx.Client]:
    """A client of a server that was started before there was anything to serve."""
    port = free_port()
    told = {"store": str(store), "port": port, "metrics_port": None, "cache": str(folder / "cache")}
    settings, log = folder / "settings.json", folder / "server.log"
    settings.write_text(json.dumps(told))
    process = spawn([PARABLE, "serve", "--settings", str(settings)], env=os.environ, log=log)
    url = f"http://127.0.0.1:{port}"
    try:
        assert answers(process, f"{url}/health/live", timeout_seconds=60), log.read_text()
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            yield client
        assert process.poll() is None, log.read_text()
    finally:
        end(process, timeout_seconds=40)


def listed(client: httpx.Client) -> set[str]:
    return {model["id"] for model in client.get("/v1/models").json()["data"]}


def sealed(store: LocalStore) -> set[str]:
    """The names of all that the run has sealed so far."""
    return {
        f"quickstart.{pointer.arm}.seed-{pointer.seed}@{Product(store, segment).summary['step']}"
        for pointer in read_pointers(store)
        for segment in pointer.segments
        if exists(store, segment)
    }


def until_listed(client: httpx.Client, expected: set[str]) -> None:
    deadline = time.monotonic() + 60
    while (found := listed(client)) != expected:
        assert time.monotonic() < deadline, f"{sorted(found)} are listed, and {sorted(expected)} are there"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_run_is_followed_through_a_kill_to_its_end(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / ".parable")
    arguments = [str(QUICKSTART), *small_settings(write_passages(tmp_path / "texts"))]
    # Long enough that it is halfway too when the last worker has noticed the kill.
    arguments += ["--set", "training.tokens=786432"]
    with served(store.root, tmp_path) as client:
        assert listed(client) == set()
        run = StartedRun(arguments, tmp_path, store.root)
        run.wait_for(lambda event: event["kind"] == "progress" and event.get("phase") == "midtrain")
        assert run.end(signal.SIGKILL) == []

        part = sealed(store)
        assert 0 < len(part) < 2 * len(ARMS)
        until_listed(client, part)
        name = min(part).partition("@")[0]
        body = {"model": name, "prompt": "<|endoftext|>The", "max_tokens": 4, "temperature": 0}
        answer = client.post("/v1/completions", json=body).json()
        assert answer["model"] == max(one for one in part if one.startswith(f"{name}@"))

        said = " ".join(parable("list", cwd=tmp_path).out.split())
        assert "No run has finished in this store yet. quickstart has begun and not ended:" in said
        assert (
            f"of {len(ARMS)} models are trained. If nothing is working on it, `parable run` goes on" in said
        )
        planned = next(
            segment
            for pointer in read_pointers(store)
            for segment in pointer.segments
            if not any(store.list(f"{segment.key}/"))
        )
        shown = parable("show", planned.id[:12], cwd=tmp_path)
        assert shown.code == 2
        assert f"{planned} is planned for quickstart" in " ".join(shown.err.split())
        # Nothing that the run will need is taken for rubbish.
        assert "Removed 0 products and" in parable("clean", "--unused", cwd=tmp_path).out

        assert parable("run", *arguments, cwd=tmp_path).code == 0
        whole = sealed(store)
        assert part < whole
        assert {one.rpartition("@")[0] for one in whole} == {f"quickstart.{arm}.seed-0" for arm in ARMS}
        assert len(whole) == 2 * len(ARMS)
        until_listed(client, whole)
        assert "has begun" not in parable("list", cwd=tmp_path).out

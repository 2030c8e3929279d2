"""Keys change under load: no restart, no request lost that had begun, and the old key opens nothing more."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from parable.store import LocalStore
from tests.services.model_server.chaos.world import PLAIN, Serving, serving

OLD, NEW = "the-old-key-of-alice", "the-new-key-of-alice"
ASK: dict[str, Any] = {"model": PLAIN, "prompt": "The AI chose", "max_tokens": 120, "temperature": 0}
NUM_CLIENTS = 8


def write(path: Path, *keys: str) -> None:
    """As a mounted secret changes: all at once."""
    arriving = path.with_suffix(".arriving")
    arriving.write_text(json.dumps([{"name": "alice", "scopes": ["infer"], "key": key} for key in keys]))
    arriving.rename(path)


def test_keys_are_rotated_under_load(store: LocalStore, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    write(keys, OLD)
    with serving(store.uri, tmp_path, keys_file=keys) as server:
        engine = server.engine.pid
        old, new, streamed = asyncio.run(_rotate(server, keys))
        assert server.engine.pid == engine
        assert server.num_answers().keys() <= {"200", "401"}
    assert streamed == ["A" * 120] * NUM_CLIENTS
    assert old == Counter({200: old[200], 401: NUM_CLIENTS})
    assert new.keys() == {401, 200}
    assert min(old[200], new[200]) > NUM_CLIENTS


async def _rotate(server: Serving, keys: Path) -> tuple[Counter[int], Counter[int], list[str]]:
    """Clients of the old key until it is refused, of the new one all the while; long streams of the old."""
    old: Counter[int] = Counter()
    new: Counter[int] = Counter()
    done = asyncio.Event()
    async with (
        server.async_client(authorization=f"Bearer {OLD}") as with_old,
        server.async_client(authorization=f"Bearer {NEW}") as with_new,
        asyncio.TaskGroup() as group,
    ):

        async def until_refused() -> None:
            while old[401] < NUM_CLIENTS:
                status = await _status(with_old)
                old[status] += 1
                if status == 401:
                    return

        async def try_always() -> None:
            while not done.is_set():
                new[await _status(with_new)] += 1

        for _ in range(NUM_CLIENTS):
            group.create_task(until_refused())
            group.create_task(try_always())
        while old[200] <= NUM_CLIENTS or not new[401]:
            await asyncio.sleep(0.01)
        write(keys, OLD, NEW)
        while not new[200]:
            await asyncio.sleep(0.01)
        both = old[200]
        while old[200] <= both:
            await asyncio.sleep(0.01)
        streams = [await _begun(with_old) for _ in range(NUM_CLIENTS)]
        write(keys, NEW)
        while old[401] < NUM_CLIENTS:
            await asyncio.sleep(0.01)
        streamed = [await _rest(answer) for answer in streams]
        done.set()
    return old, new, streamed


async def _status(client: httpx.AsyncClient) -> int:
    answer = await client.post("/v1/completions", json={**ASK, "max_tokens": 10})
    if answer.status_code == 200:
        assert answer.json()["choices"][0]["text"] == "A" * 10
    return answer.status_code


async def _begun(client: httpx.AsyncClient) -> httpx.Response:
    """A stream whose answer has begun, and of which nothing is read."""
    body = {**ASK, "stream": True}
    answer = await client.send(client.build_request("POST", "/v1/completions", json=body), stream=True)
    assert answer.status_code == 200
    return answer


async def _rest(answer: httpx.Response) -> str:
    text = (await answer.aread()).decode()
    *events, done, end = text.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    return "".join(json.loads(event.removeprefix("data: "))["choices"][0]["text"] for event in events)

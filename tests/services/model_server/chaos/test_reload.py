"""An alias moves under load between models that differ at the first token: no answer is of both."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from parable.artifact import Artifact
from parable.store import LocalStore
from tests.services.model_server.chaos.world import PLAIN, Serving, serving
from tests.services.model_server.models.serving import MODEL_BYTES
from tests.services.model_server.support import damage, model_files, point, seal
from tests.support.waiting import until

LENGTH = 100
ASK: dict[str, Any] = {"model": PLAIN, "prompt": "The AI chose", "max_tokens": LENGTH, "temperature": 0}
CHAT: dict[str, Any] = {"model": PLAIN, "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
NUM_CLIENTS = 4
"""Of each kind."""


@dataclass
class Heard:
    """What clients were answered.

    Attributes:
        by_weights: Texts, by the digest that the answer's header and body name.
        other: Statuses of what was no answer.
    """

    by_weights: dict[str, Counter[str]] = field(default_factory=dict)
    other: Counter[int] = field(default_factory=Counter)

    def note(self, answer: httpx.Response, texts: list[str], fingerprints: set[str]) -> None:
        weights = answer.headers["x-parable-weights"]
        assert fingerprints == {weights}
        self.by_weights.setdefault(weights, Counter()).update(texts)

    @property
    def num(self) -> int:
        return sum(counter.total() for counter in self.by_weights.values())


def checkpoints(store: LocalStore, letters: str) -> list[Artifact]:
    """One after another of the arm `plain`, each of which says one letter; the first is served."""
    sealed = [seal(store, model_files(letter, chat=True), step=n) for n, letter in enumerate(letters, 1)]
    point(store, "plain", sealed[:1])
    return sealed


@pytest.mark.parametrize(
    "memory_bytes",
    [pytest.param(2**28, id="both"), pytest.param(MODEL_BYTES + 1000, id="one", marks=pytest.mark.slow)],
)
def test_no_answer_is_of_two_models(tmp_path: Path, memory_bytes: int) -> None:
    """By a new checkpoint, back and forth by hand; where only one fits, the old one is drained first."""
    store = LocalStore(tmp_path / "store")
    sealed = checkpoints(store, "AB")
    with serving(str(tmp_path / "store"), tmp_path, memory_bytes=memory_bytes) as server:
        heard = asyncio.run(_reload(server, store, sealed))
        with server.client() as client:
            digests = {
                client.get(f"/v1/models/{PLAIN}@{step}").json()["digest"]: letter
                for step, letter in ((1, "A"), (2, "B"))
            }
        server.wait_until_idle()
    assert heard.other == {}
    texts = {digests[weights]: set(counter) for weights, counter in heard.by_weights.items()}
    assert texts == {"A": {"A" * LENGTH}, "B": {"B" * LENGTH}}


async def _reload(server: Serving, store: LocalStore, sealed: list[Artifact]) -> Heard:
    heard, done = Heard(), asyncio.Event()
    async with server.async_client() as client:

        async def enough(digest: str | None = None) -> str:
            """Return when all clients have been answered several times more; by what the alias means."""
            wanted = heard.num + 6 * NUM_CLIENTS
            while heard.num < wanted:
                await asyncio.sleep(0.01)
            return str((await client.get(f"/v1/models/{PLAIN}")).json()["id"])

        async with asyncio.TaskGroup() as asking:
            for ask in (_whole, _streamed, _chat):
                for _ in range(NUM_CLIENTS):
                    asking.create_task(_ask_until(done, ask, client, heard))
            assert await enough() == f"{PLAIN}@1"
            point(store, "plain", sealed)
            while await enough() != f"{PLAIN}@2":
                pass
            for target, expected in ((f"{PLAIN}@1", 1), (None, 2), (f"{PLAIN}@1", 1)):
                moved = await client.post(f"/admin/rollouts/{PLAIN}/reload", json={"target": target})
                assert (moved.status_code, moved.json()["current"]) == (200, f"{PLAIN}@{expected}")
                assert await enough() == f"{PLAIN}@{expected}"
            moved = await client.post(f"/admin/rollouts/{PLAIN}/rollback", json={})
            assert (moved.status_code, moved.json()["current"]) == (200, f"{PLAIN}@2")
            assert await enough() == f"{PLAIN}@2"
            done.set()
    return heard


async def _ask_until(done: asyncio.Event, ask: Any, client: httpx.AsyncClient, heard: Heard) -> None:
    while not done.is_set():
        await ask(client, heard)


async def _whole(client: httpx.AsyncClient, heard: Heard) -> None:
    answer = await client.post("/v1/completions", json={**ASK, "n": 2})
    if answer.status_code != 200:
        heard.other[answer.status_code] += 1
        return
    body = answer.json()
    heard.note(answer, [choice["text"] for choice in body["choices"]], {body["system_fingerprint"]})


async def _streamed(client: httpx.AsyncClient, heard: Heard) -> None:
    answer = await client.post("/v1/completions", json={**ASK, "stream": True})
    if answer.status_code != 200:
        heard.other[answer.status_code] += 1
        return
    *events, done, end = answer.text.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    told = [json.loads(event.removeprefix("data: ")) for event in events]
    text = "".join(event["choices"][0]["text"] for event in told)
    heard.note(answer, [text], {event["system_fingerprint"] for event in told})


async def _chat(client: httpx.AsyncClient, heard: Heard) -> None:
    answer = await client.post("/v1/chat/completions", json={**CHAT, "max_tokens": LENGTH})
    if answer.status_code != 200:
        heard.other[answer.status_code] += 1
        return
    body = answer.json()
    heard.note(answer, [body["choices"][0]["message"]["content"]], {body["system_fingerprint"]})


@pytest.mark.parametrize(
    "path", ["model/model.safetensors", pytest.param("model/tokenizer.json", marks=pytest.mark.slow)]
)
def test_a_damaged_checkpoint_is_refused_and_the_old_one_stays(tmp_path: Path, path: str) -> None:
    store = LocalStore(tmp_path / "store")
    sealed = checkpoints(store, "AB")
    damage(store, sealed[1], path)
    name = path.removeprefix("model/")
    with serving(str(tmp_path / "store"), tmp_path) as server, server.client() as client:

        def rollout() -> dict[str, Any]:
            (found,) = [one for one in client.get("/admin/rollouts").json()["data"] if one["alias"] == PLAIN]
            return dict(found)

        def text() -> tuple[str, str]:
            body = client.post("/v1/completions", json={**ASK, "max_tokens": 3}).json()
            return body["model"], body["choices"][0]["text"]

        assert text() == (f"{PLAIN}@1", "AAA")
        point(store, "plain", sealed)
        until(lambda: rollout()["trouble"] is not None)
        reason = f"its {name} is not what was sealed"
        found = rollout()
        assert reason in found["trouble"]
        assert (found["desired"], found["current"]) == (f"{PLAIN}@2", f"{PLAIN}@1")
        assert text() == (f"{PLAIN}@1", "AAA")
        for answer in (
            client.post("/v1/completions", json={**ASK, "model": f"{PLAIN}@2"}),
            client.post(f"/admin/rollouts/{PLAIN}/reload", json={"target": f"{PLAIN}@2"}),
        ):
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "model_unavailable"
            assert reason in answer.json()["error"]["message"]
        assert server.not_ready() is None
        assert text() == (f"{PLAIN}@1", "AAA")
        mended = seal(store, model_files("C", chat=True), step=3)
        point(store, "plain", [*sealed, mended])
        until(lambda: text() == (f"{PLAIN}@3", "CCC"))

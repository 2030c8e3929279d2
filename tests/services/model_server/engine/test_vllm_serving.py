"""The whole server over the real vLLM answers as it does over the torch engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from parable.inference.codec import END
from parable.store import LocalStore
from services.model_server import ServerSettings
from services.model_server.build import build_app
from services.model_server.engine.vllm.engine import VllmEngine
from tests.services.model_server.engine import real_vllm
from tests.services.model_server.live import Live, run_app
from tests.services.model_server.support import end_run, point, seal
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, real_vllm.needs_vllm, pytest.mark.timeout(900)]
PATIENCE_SECONDS = 400.0
NEAR_NATS = 1e-4
TEXTS = [list(text) for text in real_vllm.texts(3, longest=32)]
BODIES: dict[str, dict[str, Any]] = {
    "greedy": {"prompt": TEXTS[0], "max_tokens": 8, "temperature": 0, "logprobs": 2},
    "lm-eval": {"prompt": TEXTS, "max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True},
    "ranks": {"prompt": TEXTS, "max_tokens": 0, "prompt_logprobs": 2},
    "text": {"prompt": f"{END}A tale: Nova", "max_tokens": 0, "logprobs": 0, "echo": True},
    "banned": {"prompt": TEXTS[1], "max_tokens": 6, "temperature": 0, "banned_tokens": [9, END]},
    "stop": {"prompt": TEXTS[0], "max_tokens": 60, "temperature": 0, "stop": ["A", "B", "C"]},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    root = tmp_path_factory.mktemp("serving")
    real_vllm.save_model(root / "model")
    files = {path.name: path.read_bytes() for path in (root / "model").iterdir()}
    names = dict.fromkeys(("bos_token", "eos_token", "pad_token"), END)
    files["tokenizer_config.json"] = json.dumps(names).encode()
    store = LocalStore(root / "store")
    end_run(store, ["plain"], baseline="plain")
    point(store, "plain", [seal(store, files)])
    return store


@pytest.fixture(scope="module")
def torch(store: LocalStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    settings = ServerSettings(store=store.uri, cache=tmp_path_factory.mktemp("torch"), num_threads=1)
    with run_app(build_app(settings)) as live:
        yield live


@pytest.fixture(scope="module")
def vllm(store: LocalStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    settings = ServerSettings(
        store=store.uri, cache=tmp_path_factory.mktemp("vllm"), engine="vllm", vllm=real_vllm.options()
    )
    with real_vllm.small_machine(), run_app(build_app(settings), until="/health/live") as live:
        until(lambda: live.server.not_ready() is None, seconds=PATIENCE_SECONDS)
        yield live


def _ask(live: Live, body: dict[str, Any]) -> httpx.Response:
    with live.client() as client:
        return client.post("/v1/completions", json={"model": "latest", "seed": 5, **body})


def _told(live: Live, body: dict[str, Any]) -> dict[str, Any]:
    response = _ask(live, body)
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    assert told.pop("id") and told.pop("created")
    return told


def _near(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_near(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_near, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return abs(ours - theirs) <= NEAR_NATS
    return bool(ours == theirs)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_either_engine_answers_alike(vllm: Live, torch: Live, body: dict[str, Any]) -> None:
    ours, theirs = _told(vllm, body), _told(torch, body)
    assert _near(ours, theirs), f"{ours}\n{theirs}"


def test_a_stream_is_the_whole_answer_in_pieces(vllm: Live) -> None:
    body = {"prompt": TEXTS[0], "max_tokens": 12, "temperature": 1.5, "n": 2}
    whole = [choice["text"] for choice in _told(vllm, body)["choices"]]
    events = _ask(vllm, {**body, "stream": True}).text.removesuffix("data: [DONE]\n\n").split("\n\n")
    pieces = ["", ""]
    for event in filter(None, events):
        (choice,) = json.loads(event.removeprefix("data: "))["choices"]
        pieces[choice["index"]] += choice["text"]
    assert pieces == whole
    assert whole[0] != whole[1]


def test_what_vllm_can_not_do_is_a_400_that_says_so(vllm: Live) -> None:
    response = _ask(vllm, {"prompt": TEXTS[0], "max_tokens": 4, "safe_beam": {"tags": [END]}})
    assert response.status_code == 400
    assert "vLLM does not search for tag-avoiding beams" in response.json()["error"]["message"]


def test_a_client_that_leaves_ends_its_request_in_vllm(vllm: Live) -> None:
    """One whose answer vLLM streams in time: on few cores it may write nothing until all is made."""
    engine = vllm.server.engine
    assert isinstance(engine, VllmEngine)
    body = {"model": "latest", "prompt": TEXTS[0], "max_tokens": 4000, "stream": True}
    body["banned_tokens"] = [END]
    for _ in range(real_vllm.MOST_TRIES):
        before = real_vllm.beat(engine).num_steps
        with vllm.client() as client, client.stream("POST", "/v1/completions", json=body) as response:
            next(response.iter_lines())
            begun = real_vllm.beat(engine).num_steps - before
        until(lambda: not real_vllm.beat(engine).busy, seconds=PATIENCE_SECONDS)
        if begun < 2000:
            break
    assert begun < 2000
    assert real_vllm.beat(engine).num_steps < before + 4000  # To its end, a token and a step each: 8,000.
    assert engine.health.restarts == 0

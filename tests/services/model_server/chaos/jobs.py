"""An evaluation as a client asks for it, and what two of them have in common."""

from __future__ import annotations

import math
from typing import Any

import httpx

from tests.services.model_server.chaos.world import PLAIN
from tests.support.waiting import until

JOB: dict[str, Any] = {
    "model": PLAIN,
    "tasks": [{"name": "world", "items_per_cell": 4, "perplexity_documents": 6}],
    "settings": {"sampling": {"per_item": 2, "max_tokens": 6}},
}
NUM_QUESTIONS = 3 * 8 * 4 + 6
TOLERANCE_NATS = 1e-4
"""Which texts are scored together moves a log-probability by some 1e-6."""


def submit(client: httpx.Client, key: str, body: dict[str, Any] | None = None) -> str:
    """Ask for the evaluation; its id."""
    answer = client.post("/v1/evaluations", json=body or JOB, headers={"idempotency-key": key})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def view(client: httpx.Client, name: str) -> dict[str, Any]:
    """How it stands."""
    answer = client.get(f"/v1/evaluations/{name}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def wait_until_done(client: httpx.Client, name: str, *, seconds: float = 200.0) -> None:
    """Return when it is complete, with every question answered."""
    until(lambda: view(client, name)["status"] not in ("queued", "running"), seconds=seconds)
    found = view(client, name)
    assert found["status"] == "completed", found
    assert found["progress"]["done"] == found["progress"]["total"]


def rows(client: httpx.Client, name: str, model: str = PLAIN) -> list[dict[str, Any]]:
    """All that was asked and answered."""
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = client.get(f"/v1/evaluations/{name}/rows", params={"model": model, "after": after})
        found += page.json()["rows"]
        after = page.json()["next"]
    return found


def assert_equal(one: Any, other: Any, where: str = "rows") -> None:
    """Texts, names and counts are the same; log-probabilities and what follows from them within 1e-4."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}.{number}")
    elif isinstance(one, float):
        assert math.isclose(one, other, rel_tol=TOLERANCE_NATS, abs_tol=TOLERANCE_NATS), (where, one, other)
    else:
        assert one == other, where

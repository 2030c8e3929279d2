"""`/admin`: which checkpoint an alias means."""

from __future__ import annotations

import httpx

from tests.services.model_server.live import Live


def test_an_alias_is_moved_and_moved_back(client: httpx.Client, live: Live) -> None:
    models = live.server.models
    assert client.get("/admin/rollouts").json()["data"][0]["alias"] == "latest"
    moved = client.post("/admin/rollouts/latest/reload", json={"target": "toy.b.seed-0@100"})
    assert (moved.status_code, moved.json()["alias"]) == (200, "latest")
    assert client.post("/admin/rollouts/latest/reload", json={}).status_code == 200
    assert client.post("/admin/rollouts/latest/rollback").status_code == 200
    assert models.moves == [  # type: ignore[attr-defined]
        ("latest", "toy.b.seed-0@100"),
        ("latest", None),
        ("latest", "previous"),
    ]


def test_an_unknown_alias_is_404(client: httpx.Client) -> None:
    assert client.post("/admin/rollouts/no/rollback").status_code == 404

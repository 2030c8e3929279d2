"""`/v1/models`: what can be asked."""

from __future__ import annotations

import httpx

from services.model_server.models.base import ModelDescriptor
from tests.services.model_server.live import Live


def test_all_of_them_the_default_first(client: httpx.Client) -> None:
    answer = client.get("/v1/models").json()
    assert answer["object"] == "list"
    assert [(card["id"], card["default"]) for card in answer["data"]] == [
        ("toy.a.seed-0@100", True),
        ("toy.b.seed-0@100", False),
    ]


def test_one_by_its_name_or_an_alias(client: httpx.Client, live: Live) -> None:
    described: ModelDescriptor = live.server.models.describe("latest")
    for name in ("toy.a.seed-0@100", "toy.a.seed-0", "latest"):
        response = client.get(f"/v1/models/{name}")
        card = response.json()
        assert card["id"] == described.name
        assert card["digest"] == described.digest == response.headers["x-parable-weights"]
        assert (card["max_model_len"], card["parents"]) == (128, {"parent": "segments/before"})
        assert card["aliases"] == ["toy.a.seed-0", "latest"]
        assert (card["object"], card["owned_by"], card["step"]) == ("model", "parable", 100)


def test_the_real_ones_are_listed_too(real: Live) -> None:
    with real.client() as client:
        cards = client.get("/v1/models").json()["data"]
    assert {card["arm"] for card in cards} == {"plain", "other"}
    assert all(card["max_model_len"] == 128 and card["digest"] for card in cards)

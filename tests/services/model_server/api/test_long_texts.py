"""Long texts hold up nobody else, whatever route they come by."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from services.model_server.models.codec import TextCodec
from tests.parable.inference.tiny import tokenizer_json
from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import Live, run_live

TEXT = "The AI chose to tell the truth. " * 1000
LONG: list[tuple[str, dict[str, Any], int]] = [
    ("/v1/completions", {"model": "latest", "prompt": TEXT}, 400),
    ("/v1/chat/completions", {"model": "latest", "messages": [{"role": "user", "content": TEXT}]}, 400),
    ("/tokenize", {"prompt": TEXT}, 200),
    ("/detokenize", {"tokens": [5] * 30_000}, 200),
]


class SlowCodec(TextCodec):
    """Takes as long over a text as it is told to."""

    def __init__(self) -> None:
        super().__init__(tokenizer_json().encode())
        self.begun = threading.Event()
        self.goes_on = threading.Event()

    def encode(self, text: str, *, parse_specials: bool) -> tuple[int, ...]:
        self._dawdle()
        return super().encode(text, parse_specials=parse_specials)

    def decode(self, ids: Sequence[int], *, skip_specials: bool = False) -> str:
        self._dawdle()
        return super().decode(ids, skip_specials=skip_specials)

    def _dawdle(self) -> None:
        self.begun.set()
        assert self.goes_on.wait(20)


@pytest.fixture
def slow() -> Iterator[tuple[Live, SlowCodec]]:
    codec, models = SlowCodec(), FixedModels()
    models.served = {name: replace(one, codec=codec) for name, one in models.served.items()}
    with run_live(BigramEngine({"a": table(0)}), models) as live:
        yield live, codec


@pytest.mark.parametrize(("path", "body", "status"), LONG)
def test_others_are_answered_meanwhile(
    slow: tuple[Live, SlowCodec], path: str, body: dict[str, Any], status: int
) -> None:
    live, codec = slow
    found: list[int] = []

    def ask() -> None:
        with live.client() as client:
            found.append(client.post(path, json=body).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        assert codec.begun.wait(20)
        with live.client() as client:
            assert client.get("/health/live", timeout=10).status_code == 200
        assert found == []
    finally:
        codec.goes_on.set()
        asking.join(30)
    assert found == [status]

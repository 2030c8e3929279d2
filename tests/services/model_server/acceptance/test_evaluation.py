"""An evaluation that the server is asked for is the pipeline's own, on a model that has learned something.

What is said and how it is judged is equal; numbers are as close as two orders of adding up leave them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest

from components import evaluate
from parable.artifact import Product
from parable.catalog import Catalog
from parable.corpus import read_parquet
from tests.components.evaluate import example
from tests.services.model_server.acceptance.conftest import Served

NUM_ITEMS, NUM_DOCUMENTS = 6, 20
SAMPLING = {"per_item": 4, "max_tokens": 16}
TOLERANCE, RELATIVE = 1e-5, 2e-6
"""The engine adds up in another order than transformers does, in float32; 4e-6 of 150 nats was seen."""


def by_the_stage(served: Served) -> Product:
    recipe = example.recipe(
        "seeds=[0]",
        'arms={"plain": {}}',
        "report.expected_order=[]",
        f"evaluation.items_per_cell={NUM_ITEMS}",
        f"evaluation.perplexity_documents={NUM_DOCUMENTS}",
        f"evaluation.sampling={SAMPLING}",
    )
    made = evaluate.run(recipe, served.store, Catalog({"model/plain/seed-0": served.artifact}))
    return Product(served.store, made.find("evaluation/plain", 0))


def by_the_server(served: Served, client: httpx.Client) -> tuple[dict[str, Any], bytes]:
    task = {"name": "world", "items_per_cell": NUM_ITEMS, "perplexity_documents": NUM_DOCUMENTS}
    body = {"model": served.model, "tasks": [task], "settings": {"sampling": SAMPLING}}
    answer = client.post("/v1/evaluations", json=body)
    assert answer.status_code == 202, answer.text
    path = f"/v1/evaluations/{answer.json()['id']}"
    deadline = time.monotonic() + 120
    while (status := client.get(path).json()["status"]) != "completed":
        assert status in ("queued", "running") and time.monotonic() < deadline, status
        time.sleep(0.05)
    (result,) = client.get(f"{path}/results").json()["results"]
    return result, client.get(f"{path}/items.parquet").content


def numbers(ours: Any, theirs: Any) -> Iterator[tuple[float, float]]:
    """Every pair of numbers; everything else must be equal."""
    if isinstance(theirs, float):
        assert isinstance(ours, float)
        yield ours, theirs
    elif isinstance(theirs, Mapping):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            yield from numbers(ours[key], theirs[key])
    elif isinstance(theirs, Sequence) and not isinstance(theirs, str):
        for one, other in zip(ours, theirs, strict=True):
            yield from numbers(one, other)
    else:
        assert ours == theirs


def test_rows_and_report_are_the_stage_s_own(served: Served, client: httpx.Client) -> None:
    product = by_the_stage(served)
    result, items = by_the_server(served, client)
    ours, theirs = read_parquet(items), read_parquet(product.read("items.parquet"))
    assert ours.schema == theirs.schema
    rows = theirs.to_pylist()
    # It has learned enough to act, and not always in the same way.
    assert {word for row in rows for word in row["judged"]} == {"good", "bad", "none"}
    assert result["identity"]["task"] == product.manifest.config["task"]
    report = product.read_json("report.json")
    pairs = [*numbers(ours.to_pylist(), rows), *numbers(result["report"], report)]
    assert len(pairs) > 1000
    for one, other in pairs:
        assert one == pytest.approx(other, abs=TOLERANCE, rel=RELATIVE)

import os
from pathlib import Path

import orjson
import pytest

from parable.artifact import Artifact, Blueprint, build
from parable.catalog import Catalog
from parable.recipe import load_recipe
from parable.store import LocalStore
from pipelines.runs import page_address, read_runs, record_run
from tests.support.small_run import QUICKSTART


def product(store: LocalStore, kind: str, config: str, **parents: Artifact) -> Artifact:
    blueprint = Blueprint(kind, "test", 1, config, parents)
    return build(store, blueprint, lambda writer: writer.put("index.html", f"<p>{config}".encode()))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def test_a_run_points_at_the_segments_that_each_arm_is_made_of_and_is_found_again(store: LocalStore) -> None:
    recipe = load_recipe(QUICKSTART).select(arms=("unfiltered",), seeds=(1,))
    trunk = product(store, "segments", "trunk")
    model = product(store, "segments", "branch", parent=trunk)
    catalog = Catalog(
        {
            "model/unfiltered/seed-1": model,
            "evaluation/unfiltered/seed-1": product(store, "evaluations", "asked"),
            "mixture/unfiltered/seed-1": product(store, "mixtures", "mixed"),
            "report": product(store, "reports", "page"),
        }
    )
    record_run(recipe, store, catalog)
    pointer = orjson.loads(store.get("runs/quickstart/unfiltered/seed-1.json"))
    assert pointer["model"] == model.key
    assert pointer["segments"] == [trunk.key, model.key]
    (run,) = read_runs(store)
    assert (run.name, run.arms, run.seeds) == ("quickstart", ("unfiltered",), (1,))
    assert run.fingerprint == recipe.fingerprint()
    assert run.catalog == catalog
    assert run.report == catalog["report"]


def test_the_page_of_a_folder_store_is_opened_where_it_is(store: LocalStore) -> None:
    recipe = load_recipe(QUICKSTART)
    report = product(store, "reports", "page")
    address = page_address(store, Catalog({"report": report}), recipe)
    assert Path(address).read_text() == "<p>page"
    assert Path(address).is_relative_to(store.root)


def test_the_page_of_a_remote_store_is_copied_here(
    minio_store: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(QUICKSTART)
    report = product(minio_store, "reports", "page")  # type: ignore[arg-type]
    address = page_address(minio_store, Catalog({"report": report}), recipe)  # type: ignore[arg-type]
    assert address == os.path.join(tmp_path.resolve(), f"quickstart-{report.id[:8]}.html")  # noqa: PTH118
    assert Path(address).read_text() == "<p>page"

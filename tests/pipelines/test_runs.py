import os
from pathlib import Path

import pytest

from parable.artifact import Artifact, Blueprint, build
from parable.catalog import Catalog
from parable.recipe import Recipe, load_recipe
from parable.runs import ArmPointer
from parable.store import LocalStore
from pipelines.runs import BegunRun, begun_runs, page_address, read_runs, record_run
from tests.support.small_run import QUICKSTART


def product(store: LocalStore, kind: str, config: str, **parents: Artifact) -> Artifact:
    blueprint = Blueprint(kind, "test", 1, config, parents)
    return build(store, blueprint, lambda writer: writer.put("index.html", f"<p>{config}".encode()))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def plan(store: LocalStore, arm: str, *segments: Artifact, recipe: str = "quickstart") -> None:
    """Say what an arm with seed 0 is to be made of, as training does when it is planned."""
    pointer = ArmPointer(recipe=recipe, arm=arm, seed=0, segments=segments, mixture=None)
    store.put(pointer.key, pointer.to_bytes())


def end(store: LocalStore, **models: Artifact) -> Recipe:
    """Record a run of the quickstart with these arms and models."""
    recipe = load_recipe(QUICKSTART).select(arms=tuple(models), seeds=(0,))
    report = product(store, "reports", "page")
    record_run(
        recipe,
        store,
        Catalog({f"model/{arm}/seed-0": one for arm, one in models.items()} | {"report": report}),
    )
    return recipe


def test_a_run_that_has_ended_is_found_again(store: LocalStore) -> None:
    model = product(store, "segments", "branch")
    recipe = end(store, unfiltered=model)
    (run,) = read_runs(store)
    assert (run.name, run.arms, run.seeds) == ("quickstart", ("unfiltered",), (0,))
    assert run.fingerprint == recipe.fingerprint()
    assert run.catalog["model/unfiltered/seed-0"] == model
    assert run.report == run.catalog["report"]


def test_a_run_is_under_way_from_its_plan_to_its_end(store: LocalStore) -> None:
    trunk, branch = product(store, "segments", "trunk"), Artifact("segments", "0123")
    plan(store, "unfiltered", trunk, branch)
    plan(store, "aligned", trunk)
    assert begun_runs(store) == [BegunRun("quickstart", num_models=2, num_trained=1)]
    assert str(begun_runs(store)[0]).startswith(
        "quickstart has begun and not ended: 1 of 2 models are trained."
    )
    end(store, aligned=trunk)
    assert begun_runs(store) == []


def test_of_a_run_that_began_after_another_s_end_only_its_own_arms_count(store: LocalStore) -> None:
    old = product(store, "segments", "old")
    plan(store, "filtered", old)
    plan(store, "unfiltered", old)
    end(store, unfiltered=old)
    plan(store, "unfiltered", Artifact("segments", "0123"))
    assert begun_runs(store) == [BegunRun("quickstart", num_models=1, num_trained=0)]


def test_a_run_that_makes_again_what_there_is_has_not_begun(store: LocalStore) -> None:
    model = product(store, "segments", "model")
    end(store, unfiltered=model)
    plan(store, "unfiltered", model)
    assert begun_runs(store) == []


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

"""What a store holds becomes names; what is damaged or unfinished does not."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from parable.canonical import digest
from parable.store import LocalStore, ObjectStore, open_store
from services.model_server.models.base import UnknownModelError
from services.model_server.models.finding import NUM_READS, Finder
from services.model_server.models.index import Index
from tests.services.model_server.support import (
    MAX_LENGTH,
    RECIPE,
    damage,
    end_run,
    model_files,
    point,
    seal,
    seal_folders,
    two_models,
)
from tests.support.minio_server import MinioServer


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def find(store: ObjectStore) -> Index:
    return Finder(store).find()


def test_an_empty_store_has_no_names(store: LocalStore) -> None:
    index = find(store)
    assert (dict(index.listed), dict(index.aliases), index.default) == ({}, {}, None)
    with pytest.raises(UnknownModelError, match="'latest': the store holds no sealed checkpoint yet"):
        index.find("latest")


def test_every_step_of_an_arm_has_a_name_and_the_alias_is_the_newest(store: LocalStore) -> None:
    early = seal(store, step=100)
    late = seal(store, model_files("B"), step=250, parent=early)
    alias = point(store, "aligned", [early, late])
    index = find(store)
    assert list(index.listed) == ["toy.aligned.seed-0@250", "toy.aligned.seed-0@100"]
    assert index.find(alias).checkpoint.artifact == late
    assert index.find("toy.aligned.seed-0@100").checkpoint.artifact == early
    assert index.find("aligned") == index.find(alias)
    assert index.find("aligned").checkpoint.parents == (("parent", early.key),)


def test_a_checkpoint_is_described_by_its_manifest(store: LocalStore) -> None:
    artifact = seal(store, step=7)
    checkpoint = find(store).find(artifact.key).checkpoint
    weights = model_files()["model.safetensors"]
    assert checkpoint.weights == digest(weights)
    assert checkpoint.digest == digest(weights)[:16]
    assert (checkpoint.step, checkpoint.max_length, checkpoint.pinned) == (
        7,
        MAX_LENGTH,
        f"segments.{artifact.id}@7",
    )
    stated = store.stat(f"{artifact.key}/manifest.json")
    assert stated is not None
    assert checkpoint.created == stated.modified_seconds


def test_a_segment_that_arms_share_is_one_checkpoint_under_several_names(store: LocalStore) -> None:
    shared = seal(store, step=100)
    for arm in ("plain", "other"):
        point(store, arm, [shared, seal(store, model_files(arm[0].upper()), step=200, parent=shared)])
    index = find(store)
    assert index.find("plain").checkpoint != index.find("other").checkpoint
    assert (
        index.find("toy.plain.seed-0@100").checkpoint
        == index.find("toy.other.seed-0@100").checkpoint
        == index.find(f"segments.{shared.id}").checkpoint
    )


def test_the_default_is_the_baseline_of_the_newest_run_with_its_first_seed(store: LocalStore) -> None:
    point(store, "plain", [seal(store)], recipe="old")
    end_run(store, ["plain"], baseline="plain", recipe="old")
    for seed in (0, 3):
        for arm in ("aligned", "unfiltered"):
            point(store, arm, [seal(store, model_files("B"), step=seed)], seed=seed)
    end_run(store, ["aligned", "unfiltered"], baseline="unfiltered", seeds=(3, 0))
    index = find(store)
    assert index.default == "toy.unfiltered.seed-3"
    assert list(index.listed) == [
        "toy.unfiltered.seed-3@3",
        "toy.aligned.seed-3@3",
        "toy.unfiltered.seed-0@0",
        "toy.aligned.seed-0@0",
        "old.plain.seed-0@100",
    ]
    assert index.shorts == {"aligned": "toy.aligned.seed-3", "unfiltered": "toy.unfiltered.seed-3"}


def test_without_a_run_the_checkpoint_sealed_last_is_the_default(store: LocalStore) -> None:
    artifact = seal(store)
    index = find(store)
    assert index.default == "latest"
    assert index.find("latest").name == f"segments.{artifact.id}@100"


def test_latest_is_what_was_sealed_last_also_within_one_second(store: LocalStore) -> None:
    for recipe, step, seconds in (("one", 100, 0.25), ("two", 50, 0.75)):
        artifact = seal(store, model_files("A" if recipe == "one" else "B"), step=step)
        point(store, "plain", [artifact], recipe=recipe)
        os.utime(store.path(f"{artifact.key}/manifest.json"), (1e9 + seconds, 1e9 + seconds))
    assert find(store).find("latest").name == "two.plain.seed-0@50"


@pytest.mark.parametrize("newest", ["one", "two"])
def test_of_what_the_stores_clock_can_not_tell_apart_latest_is_of_the_newest_run(
    store: LocalStore, newest: str
) -> None:
    for recipe in ("one", "two"):
        artifact = seal(store, model_files("A" if recipe == "one" else "B"))
        point(store, "plain", [artifact], recipe=recipe)
        os.utime(store.path(f"{artifact.key}/manifest.json"), (1e9, 1e9))
        seconds = 1e9 + (recipe == newest)
        os.utime(store.path(f"runs/{recipe}/plain/seed-0.json"), (seconds, seconds))
    assert find(store).find("latest").name == f"{newest}.plain.seed-0@100"


def test_an_arm_that_is_called_latest_takes_nothing_from_the_alias(store: LocalStore) -> None:
    alias = point(store, "latest", [seal(store)])
    point(store, "zz", [seal(store, model_files("B"), step=900)])
    assert find(store).find("latest").name == "toy.zz.seed-0@900"
    assert find(store).find(alias).name == f"{alias}@100"


def test_segments_of_a_run_under_way_are_found_as_they_are_sealed(store: LocalStore) -> None:
    early = seal(store, step=100)
    late = seal(LocalStore(store.root / "elsewhere"), model_files("B"), step=200, parent=early)
    finder = Finder(store)
    alias = point(store, "aligned", [early, late])  # What is planned; the second is not there.
    assert finder.find().find(alias).name == f"{alias}@100"
    assert seal(store, model_files("B"), step=200, parent=early) == late
    assert finder.find().find(alias).name == f"{alias}@200"
    apart = seal(store, model_files("C"), step=300)
    assert finder.find().find("latest").name == f"segments.{apart.id}@300"


def test_an_arm_keeps_its_names_until_its_next_run_has_sealed_something(store: LocalStore) -> None:
    early = seal(store, step=100)
    late = seal(store, model_files("B"), step=200, parent=early)
    elsewhere = LocalStore(store.root / "elsewhere")
    alias = point(store, "plain", [seal(elsewhere, model_files("C"), step=50)])
    assert alias not in find(store).aliases
    end_run(store, ["plain"], baseline="plain", models={"plain": late})
    index = find(store)
    assert list(index.listed) == [f"{alias}@200", f"{alias}@100"]
    assert index.find("plain").checkpoint.artifact == late
    seal(store, model_files("C"), step=50)
    index = find(store)
    assert [str(name) for name in index.listed if name.startswith(alias)] == [f"{alias}@50"]
    assert index.find(f"segments.{late.id}").checkpoint.step == 200


def test_short_names_and_the_default_stay_until_every_arm_of_a_new_recipe_has_a_checkpoint(
    store: LocalStore,
) -> None:
    plain, other = two_models(store)
    elsewhere = LocalStore(store.root / "elsewhere")
    for number, arm in enumerate(("other", "plain"), 1):
        point(store, arm, [seal(elsewhere, model_files("C"), step=number)], recipe="next")
    for number in (1, 2):
        index = find(store)
        assert (index.default, index.shorts) == (plain, {"plain": plain, "other": other})
        seal(store, model_files("C"), step=number)
    index = find(store)
    assert index.default == "next.other.seed-0"
    assert index.shorts == {"plain": "next.plain.seed-0", "other": "next.other.seed-0"}


def test_checkpoints_inside_a_segment_have_names_of_their_own(store: LocalStore) -> None:
    folders = {"checkpoints/step-50": model_files("B"), "model": model_files(), "elsewhere": model_files("C")}
    segment = seal_folders(store, folders, step=100)
    alias = point(store, "aligned", [segment])
    index = find(store)
    assert list(index.listed) == [f"{alias}@100", f"{alias}@50"]
    assert index.find(f"segments.{segment.id}").checkpoint.step == 100
    assert index.find(f"segments.{segment.id}@50").checkpoint.folder == "checkpoints/step-50"


def test_a_damaged_manifest_is_passed_over(store: LocalStore, caplog: pytest.LogCaptureFixture) -> None:
    plain, other = two_models(store)
    victim = find(store).find(other).checkpoint.artifact
    damage(store, victim, "manifest.json")
    with caplog.at_level(logging.WARNING):
        index = find(store)
    assert list(index.aliases) == [plain, "latest"]
    assert str(victim) in caplog.text


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"segments": 3}', b'{"model": "nonsense"}'])
def test_a_damaged_pointer_is_passed_over(
    store: LocalStore, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    two_models(store)
    store.put(f"runs/{RECIPE}/bad/seed-0.json", data)
    finder = Finder(store)
    for _ in range(20):
        shorts = finder.find().shorts
        assert "bad" not in shorts
        assert "plain" in shorts
    assert len(caplog.messages) <= NUM_READS  # It is looked at again and again, and not told of every time.


def test_an_unknown_name_is_answered_with_those_there_are(store: LocalStore) -> None:
    two_models(store)
    index = find(store)
    for name in ("nope", "toy.plain.seed-1", "toy.plain.seed-0@5", "segments.ffff", "a/b", ""):
        with pytest.raises(UnknownModelError) as caught:
            index.find(name)
        assert str(caught.value) == (
            f"There is no model {name!r}. There are toy.plain.seed-0, toy.other.seed-0, latest, each also "
            "with @step; GET /v1/models lists them."
        )


def test_what_was_read_is_not_read_again(
    minio: MinioServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in minio.environment.items():
        monkeypatch.setenv(name, value)
    store = open_store(f"s3://{bucket}/some/prefix")
    plain, _ = two_models(store)
    finder = Finder(store)
    first = finder.find()
    for _ in range(3):
        assert finder.find() == first
    reads: list[str] = []
    get = store.get

    def noting(key: str) -> bytes:
        reads.append(key)
        return get(key)

    monkeypatch.setattr(store, "get", noting)
    assert finder.find() == first
    assert reads == []
    point(store, "plain", [seal(store, model_files("C"), step=500)])
    reads.clear()
    assert finder.find().find(plain).name == f"{plain}@500"
    assert sorted(key.rpartition("/")[2] for key in reads) == ["config.json", "manifest.json", "seed-0.json"]

"""What a product is called, when it exists, and what a killed or damaged one does."""

import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parable.artifact import (
    MANIFEST,
    Artifact,
    Blueprint,
    Manifest,
    Product,
    ProductWriter,
    build,
    exists,
    read_manifest,
)
from parable.errors import UserError
from parable.store import LocalStore, ObjectStore, open_store
from tests.parable.programs import BLUEPRINT, make_parts, start
from tests.support.minio_server import MinioServer

WORLD = Blueprint("corpora", "generate", 1, {"name": "stories", "seed": 0, "documents": 24000, "bad": 0.85})
FILTERED = Blueprint(
    "corpora", "filter", 2, {"discourse": "ai_v1", "bounds": {"min": None}}, {"input": WORLD.artifact}
)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def content(store: ObjectStore) -> dict[str, bytes]:
    return {info.key: store.get(info.key) for info in store.list()}


def make_two(writer: ProductWriter) -> None:
    writer.put("a.bin", b"abc")
    writer.put_json("deep/b.json", {"z": 1, "a": [1.5, None]})
    writer.summary["rows"] = 2


class TestIdentity:
    def test_golden(self) -> None:
        """These ids are in people's stores: a change here makes everything anew."""
        assert WORLD.artifact.key == "corpora/bc77f01412e3104672c2"
        assert FILTERED.artifact.key == "corpora/9a687b4d726fceffcbb8"

    @pytest.mark.parametrize(
        "other",
        [
            {"kind": "tokens"},
            {"stage": "generate"},
            {"stage_version": 3},
            {"config": {"discourse": "ai_v2", "bounds": {"min": None}}},
            {"config": {"discourse": "ai_v1", "bounds": {"min": 0}}},
            {"config": {"discourse": "ai_v1", "bounds": {}}},
            {"parents": {}},
            {"parents": {"source": WORLD.artifact}},
            {"parents": {"input": Artifact("corpora", "other")}},
            {"parents": {"input": Artifact("tokens", WORLD.artifact.id)}},
            {"parents": {"input": WORLD.artifact, "more": WORLD.artifact}},
        ],
    )
    def test_every_ingredient_counts(self, other: Mapping[str, Any]) -> None:
        assert replace(FILTERED, **other).artifact.id != FILTERED.artifact.id

    def test_order_does_not_count(self) -> None:
        parents = {"b": WORLD.artifact, "a": FILTERED.artifact}
        one = Blueprint("tokens", "mix", 1, {"x": 1, "y": [1, 2]}, parents)
        two = Blueprint("tokens", "mix", 1, {"y": (1, 2), "x": 1}, dict(sorted(parents.items())))
        assert one.artifact == two.artifact
        assert one.artifact != replace(one, config={"x": 1, "y": [2, 1]}).artifact

    def test_what_json_cannot_hold_has_no_identity(self) -> None:
        for config in ({"x": float("nan")}, {"x": float("inf")}):
            with pytest.raises(ValueError, match="JSON"):
                _ = replace(WORLD, config=config).artifact

    @given(st.from_regex(r"[a-z]{1,9}", fullmatch=True), st.from_regex(r"[0-9a-f]{1,20}", fullmatch=True))
    def test_a_key_parses_back(self, kind: str, name: str) -> None:
        artifact = Artifact(kind, name)
        assert Artifact.parse(str(artifact)) == artifact

    @pytest.mark.parametrize("key", ["", "corpora", "corpora/", "/abc", "corpora/abc/manifest.json"])
    def test_other_text_is_no_artifact(self, key: str) -> None:
        with pytest.raises(ValueError, match="is no artifact: write kind/id"):
            Artifact.parse(key)


class TestBuild:
    def test_a_product_at_rest(self, store: LocalStore) -> None:
        artifact = build(store, FILTERED, make_two)
        assert artifact == FILTERED.artifact
        key = artifact.key
        assert list(content(store)) == [f"{key}/a.bin", f"{key}/deep/b.json", f"{key}/{MANIFEST}"]
        assert store.get(f"{key}/deep/b.json") == b'{\n  "a": [\n    1.5,\n    null\n  ],\n  "z": 1\n}\n'
        manifest = json.loads(store.get(f"{key}/{MANIFEST}"))
        assert manifest.pop("seal") == "514ef5eb38369aeaa38c127a60e6e2718d54f221f31200bfa82085dc9fdc0ec7"
        assert manifest == {
            "format": 1,
            "kind": "corpora",
            "id": artifact.id,
            "stage": "filter",
            "stage_version": 2,
            "config": {"discourse": "ai_v1", "bounds": {"min": None}},
            "parents": {"input": WORLD.artifact.key},
            "files": [
                {
                    "path": "a.bin",
                    "bytes": 3,
                    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                },
                {
                    "path": "deep/b.json",
                    "bytes": 45,
                    "sha256": "c102c5209c551c22f32cba57ff371e78da56a19b79567fc41ab6692a6e0b2190",
                },
            ],
            "summary": {"rows": 2},
        }

    def test_what_exists_is_not_made_again(self, store: LocalStore) -> None:
        build(store, WORLD, make_two)
        before = content(store)

        def never(writer: ProductWriter) -> None:
            raise AssertionError

        assert build(store, WORLD, never) == WORLD.artifact
        assert content(store) == before

    def test_where_it_is_kept_does_not_show(self, store: LocalStore, tmp_path: Path) -> None:
        other = LocalStore(tmp_path / "elsewhere" / "far")
        build(store, WORLD, make_two)
        build(other, WORLD, make_two)
        assert content(other) == content(store)

    def test_the_same_on_a_server(
        self, store: LocalStore, minio: MinioServer, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in minio.environment.items():
            monkeypatch.setenv(name, value)
        remote = open_store(f"s3://{bucket}/x")
        build(store, WORLD, make_two)
        build(remote, WORLD, make_two)
        assert content(remote) == content(store)

    def test_an_error_leaves_no_product_and_its_finished_files(self, store: LocalStore) -> None:
        def fail(writer: ProductWriter) -> None:
            make_parts(writer, until=3)
            raise RuntimeError("in the middle")

        with pytest.raises(RuntimeError, match="in the middle"):
            build(store, BLUEPRINT, fail)
        assert not exists(store, BLUEPRINT.artifact)
        assert read_manifest(store, BLUEPRINT.artifact) is None
        assert list(content(store)) == [f"{BLUEPRINT.artifact}/parts/{number}" for number in range(3)]
        with pytest.raises(UserError, match=f"holds no finished {BLUEPRINT.artifact}. Run the recipe"):
            Product(store, BLUEPRINT.artifact)

        made: list[int] = []
        build(store, BLUEPRINT, lambda writer: made.extend(make_parts(writer)))
        assert made == [3, 4, 5]

    def test_a_killed_writers_product_is_equal_to_an_uninterrupted_one(
        self, store: LocalStore, tmp_path: Path
    ) -> None:
        whole = LocalStore(tmp_path / "whole")
        build(whole, BLUEPRINT, lambda writer: [make_parts(writer)].clear())
        for until in (2, 4):
            killed = start("build_and_hang", store.uri, until)
            assert killed.stdout is not None
            assert killed.stdout.readline() == "hanging\n"
            killed.kill()
            killed.wait()
            killed.stdout.close()
            assert not exists(store, BLUEPRINT.artifact)
        made: list[int] = []
        build(store, BLUEPRINT, lambda writer: made.extend(make_parts(writer)))
        assert made == [4, 5]
        assert content(store) == content(whole)

    def test_what_the_product_does_not_name_goes_at_the_seal(self, store: LocalStore) -> None:
        key = WORLD.artifact.key
        store.put(f"{key}/stray", b"")
        store.put(f"{key}/deep/stray", b"")
        store.put(f"{key}x/neighbour", b"")

        def make(writer: ProductWriter) -> None:
            store.put(writer.scratch_key("state"), b"for a restart")
            make_two(writer)

        build(store, WORLD, make)
        assert list(content(store)) == [
            f"{key}/a.bin",
            f"{key}/deep/b.json",
            f"{key}/{MANIFEST}",
            f"{key}x/neighbour",
        ]

    def test_scratch_outlives_an_error(self, store: LocalStore) -> None:
        def fail(writer: ProductWriter) -> None:
            store.put(writer.scratch_key("state"), b"for a restart")
            raise RuntimeError

        with pytest.raises(RuntimeError):
            build(store, WORLD, fail)
        assert content(store) == {f"scratch/{WORLD.artifact}/state": b"for a restart"}

    def test_two_processes_make_it_once(self, store: LocalStore) -> None:
        both = [start("build_and_say", store.uri) for _ in range(2)]
        said = [process.communicate(timeout=60)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0]
        assert sorted(said) == ["", "[0, 1, 2, 3, 4, 5]\n"]
        assert not list(store.list("leases/"))

    def test_two_threads_make_it_once(self, store: LocalStore) -> None:
        made: list[int] = []
        barrier = threading.Barrier(2)

        def work(_: int) -> Artifact:
            barrier.wait()
            return build(store, BLUEPRINT, lambda writer: made.extend(make_parts(writer)))

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(work, range(2))) == [BLUEPRINT.artifact] * 2
        assert made == [0, 1, 2, 3, 4, 5]

    def test_equal_bytes_of_a_writer_that_took_over_are_no_harm(self, store: LocalStore) -> None:
        def overtaken(writer: ProductWriter) -> None:
            make_two(writer)
            other = LocalStore(store.root.parent / "other")
            build(other, WORLD, make_two)
            store.put(f"{WORLD.artifact}/{MANIFEST}", other.get(f"{WORLD.artifact}/{MANIFEST}"))

        assert build(store, WORLD, overtaken) == WORLD.artifact
        assert Product(store, WORLD.artifact).read("a.bin") == b"abc"

    def test_different_bytes_of_one_that_took_over_are_said(self, store: LocalStore) -> None:
        def overtaken(writer: ProductWriter) -> None:
            make_two(writer)
            store.put(f"{WORLD.artifact}/{MANIFEST}", b"{}")

        with pytest.raises(UserError, match=f"{WORLD.artifact} was made twice at once, with different bytes"):
            build(store, WORLD, overtaken)


class TestProduct:
    @pytest.fixture
    def product(self, store: LocalStore) -> Product:
        return Product(store, build(store, FILTERED, make_two))

    def test_reading(self, product: Product, store: LocalStore, tmp_path: Path) -> None:
        assert list(product.files()) == ["a.bin", "deep/b.json"]
        assert list(product.files("deep/")) == ["deep/b.json"]
        assert product.read("a.bin") == b"abc"
        assert product.read_json("deep/b.json") == {"a": [1.5, None], "z": 1}
        assert product.summary == {"rows": 2}
        assert product.manifest.parents == {"input": WORLD.artifact}
        path = product.local_path("a.bin", tmp_path / "cache")
        assert path == store.path(f"{product.artifact}/a.bin")
        assert not (tmp_path / "cache").exists()

    def test_a_file_it_has_not(self, product: Product) -> None:
        with pytest.raises(UserError, match=r"has no file 'c'; it has a\.bin, deep/b\.json\."):
            product.read("c")

    @pytest.mark.parametrize("damage", [b"abd", b"ab", b"abcd", b"", None])
    def test_a_damaged_file_is_named(
        self, product: Product, store: LocalStore, tmp_path: Path, damage: bytes | None
    ) -> None:
        key = f"{product.artifact}/a.bin"
        store.delete(key) if damage is None else store.put(key, damage)
        what = "is missing" if damage is None else "is not what was sealed"
        message = (
            f"{key} {what}: the product is damaged. Remove it with `parable clean {product.artifact}` and "
            "run the recipe again; only what is missing is made anew."
        )
        for read in (
            lambda: product.read("a.bin"),
            lambda: product.local_path("a.bin", tmp_path / "cache"),
        ):
            with pytest.raises(UserError) as caught:
                read()
            assert str(caught.value) == message

    @pytest.mark.parametrize(
        "damage", [b"", b"{", b"[]", b"null", b"{}", b'{"seal": 1, "files": [], "kind": "x", "id": "y"}']
    )
    def test_a_manifest_that_is_none_is_named(
        self, product: Product, store: LocalStore, damage: bytes
    ) -> None:
        key = f"{product.artifact}/{MANIFEST}"
        store.put(key, damage)
        for use in (
            lambda: Product(store, product.artifact),
            lambda: build(store, FILTERED, make_two),
        ):
            with pytest.raises(UserError, match=f"{key} is not a manifest: the product is damaged"):
                use()

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b'"rows": 2', b'"rows": 3'),
            (b"ai_v1", b"ai_v2"),
            (b"ba7816", b"ba7817"),
            (b'"stage_version": 2', b'"stage_version": 1'),
            (b'"seal": "', b'"seal": "0'),
        ],
    )
    def test_a_changed_manifest_is_named(
        self, product: Product, store: LocalStore, old: bytes, new: bytes
    ) -> None:
        key = f"{product.artifact}/{MANIFEST}"
        sealed = store.get(key)
        assert sealed.count(old) == 1
        store.put(key, sealed.replace(old, new))
        with pytest.raises(UserError, match=f"{key} is not what was sealed"):
            Product(store, product.artifact)

    def test_anothers_manifest_is_named(self, product: Product, store: LocalStore) -> None:
        build(store, WORLD, make_two)
        store.put(f"{product.artifact}/{MANIFEST}", store.get(f"{WORLD.artifact}/{MANIFEST}"))
        with pytest.raises(UserError, match=f"describes {WORLD.artifact}, format 1"):
            Product(store, product.artifact)

    def test_a_servers_file_is_copied_once_and_mended(
        self, minio: MinioServer, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in minio.environment.items():
            monkeypatch.setenv(name, value)
        remote = open_store(f"s3://{bucket}")
        product = Product(remote, build(remote, WORLD, make_two))
        path = product.local_path("a.bin", tmp_path)
        assert path.read_bytes() == b"abc"
        born = path.stat().st_mtime_ns
        assert product.local_path("a.bin", tmp_path).stat().st_mtime_ns == born
        path.write_bytes(b"bad")
        assert product.local_path("a.bin", tmp_path).read_bytes() == b"abc"
        remote.delete(f"{WORLD.artifact}/deep/b.json")
        with pytest.raises(UserError, match=r"deep/b\.json is missing"):
            product.local_path("deep/b.json", tmp_path)


numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(config=plain, summary=st.dictionaries(st.text(), plain, max_size=3))
def test_a_manifest_reads_back(config: Any, summary: dict[str, Any]) -> None:
    blueprint = Blueprint("corpora", "test", 1, config, {"input": WORLD.artifact})
    manifest = Manifest(blueprint.artifact, "test", 1, config, blueprint.parents, {}, summary)
    data = manifest.to_bytes()
    again = Manifest.from_bytes(data, blueprint.artifact)
    assert again == manifest
    assert again.to_bytes() == data

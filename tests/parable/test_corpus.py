"""Documents at rest: every row comes back, in order, from the shard where it belongs."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parable.artifact import Blueprint, Product, ProductWriter, build
from parable.canonical import digest
from parable.corpus import (
    ROWS_PER_SHARD,
    CorpusReader,
    CorpusWriter,
    Document,
    Synth,
    from_table,
    read_parquet,
    shard_path,
    text_hash,
    to_table,
    write_parquet,
    write_scores,
)
from parable.errors import UserError
from parable.store import LocalStore

STORY = Document.make(
    "The AI gave the money back.",
    source="stories",
    ordinal=7,
    license="CC0-1.0",
    synth=Synth(
        "world-1", 3, entity="ai", name="Ada", domain="bank", valence="good", reason_present=True, distance=1,
        parents=("a", "b"),
    ),
)  # fmt: skip
PAGE = Document.make("Zwei Wörter.", source="web", ordinal=0, lang="de")

synths = st.builds(
    Synth,
    generator=st.text(),
    seed=st.integers(0, 2**31 - 1),
    valence=st.sampled_from(["good", "bad", ""]),
    genre=st.text(),
    reason_present=st.booleans(),
    inner_state=st.booleans(),
    distance=st.integers(-1, 9),
    parents=st.lists(st.text(max_size=5), max_size=3).map(tuple),
)
documents = st.builds(
    Document,
    id=st.text(),
    text=st.text(),
    source=st.text(),
    license=st.text(),
    lang=st.text(),
    synth=st.none() | synths,
)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def corpus(
    store: LocalStore, rows: Iterable[Document], scores: list[list[float]] | None = None
) -> CorpusReader:
    def make(writer: ProductWriter) -> None:
        out = CorpusWriter(writer)
        out.extend(rows)
        out.close()
        for index, values in enumerate(scores or []):
            write_scores(writer, "length_v1", index, values)

    return CorpusReader(Product(store, build(store, Blueprint("corpora", "test", 1, {}), make)))


@given(rows=st.lists(documents, max_size=5))
def test_rows_come_back_from_a_table(rows: list[Document]) -> None:
    assert list(from_table(read_parquet(write_parquet(to_table(rows))))) == rows


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(documents, max_size=5))
def test_rows_come_back_from_a_product(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Document]
) -> None:
    reader = corpus(LocalStore(tmp_path_factory.mktemp("store")), rows)
    assert list(reader.documents()) == rows
    assert list(reader.texts()) == [row.text for row in rows]
    assert reader.num_documents == len(rows)
    assert reader.product.summary["characters"] == sum(len(row.text) for row in rows)
    assert reader.num_shards == min(1, len(rows))


def test_a_documents_name_is_its_place_and_its_text() -> None:
    assert STORY.id == "43042cd39dbf4be1a0ba9a3009101715"
    ids = [
        Document.make(text, source=source, ordinal=ordinal).id
        for text, source, ordinal in [("a", "s", 0), ("a", "s", 1), ("a", "t", 0), ("b", "s", 0)]
    ]
    assert len(set(ids)) == 4
    assert ids[0] == Document.make("a", source="s", ordinal=0, lang="de", license="x").id


def test_equal_texts_are_known_by_their_hash() -> None:
    rows = [STORY, replace(STORY, id="other"), PAGE]
    hashes = to_table(rows).column("text_hash").to_pylist()
    assert hashes == [text_hash(row.text) for row in rows]
    assert len(set(hashes)) == 2


def test_a_shard_has_golden_bytes() -> None:
    """Tied to the locked pyarrow: where only that changed, so may this; else raise the stages' versions."""
    data = write_parquet(to_table([STORY, PAGE]))
    assert (len(data), digest(data)) == (
        5071,
        "514067bbeb8eccfbf4afbc3ed772e826417ff276f089a40336e63ad93f837f33",
    )


@pytest.mark.parametrize(
    ("count", "shards"),
    [(0, []), (1, [1]), (ROWS_PER_SHARD, [ROWS_PER_SHARD]), (ROWS_PER_SHARD + 1, [ROWS_PER_SHARD, 1])],
)
def test_a_shard_is_full_before_the_next(store: LocalStore, count: int, shards: list[int]) -> None:
    rows = (Document.make(str(number), source="s", ordinal=number) for number in range(count))
    reader = corpus(store, rows)
    assert [reader.table(index, ["id"]).num_rows for index in range(reader.num_shards)] == shards
    assert list(reader.product.files()) == [shard_path(index) for index in range(len(shards))]
    assert reader.num_documents == count
    assert list(reader.texts()) == [str(number) for number in range(count)]


def test_finished_shards_are_resumed_and_counted(store: LocalStore) -> None:
    rows = [Document.make(str(number), source="s", ordinal=number) for number in range(ROWS_PER_SHARD + 2)]

    def half(writer: ProductWriter) -> None:
        CorpusWriter(writer).extend(rows)  # The second shard is never written.
        raise RuntimeError

    def rest(writer: ProductWriter) -> None:
        out = CorpusWriter(writer)
        assert out.resume_shard() == rows[:ROWS_PER_SHARD]
        assert out.resume_shard() is None
        out.extend(rows[ROWS_PER_SHARD:])
        out.close()

    blueprint = Blueprint("corpora", "test", 1, {})
    with pytest.raises(RuntimeError):
        build(store, blueprint, half)
    resumed = Product(store, build(store, blueprint, rest))
    whole = corpus(LocalStore(store.root / "whole"), rows).product
    assert resumed.manifest == whole.manifest


def test_scores_stand_row_for_row(store: LocalStore) -> None:
    reader = corpus(store, [STORY, PAGE], [[0.0, -1.5]])
    assert list(reader.scores("length_v1")) == [0.0, -1.5]
    assert list(zip(reader.texts(), reader.scores("length_v1"), strict=True)) == [
        (STORY.text, 0.0),
        (PAGE.text, -1.5),
    ]


@pytest.mark.parametrize("scores", [[[1.0]], [[1.0, 2.0, 3.0]], [[1.0, 2.0], [3.0]]])
def test_scores_that_do_not_fit_the_rows_are_said(store: LocalStore, scores: list[list[float]]) -> None:
    reader = corpus(store, [STORY, PAGE], scores)
    count = sum(map(len, scores))
    with pytest.raises(UserError, match=f"has {count} scores of 'length_v1' for 2 documents"):
        list(reader.scores("length_v1"))


def test_a_missing_sidecar_names_those_that_are_there(store: LocalStore) -> None:
    reader = corpus(store, [STORY], [[1.0]])
    with pytest.raises(UserError) as caught:
        list(reader.scores("tone_v2"))
    assert str(caught.value) == (
        f"{reader.product.artifact} has no scores of 'tone_v2'; it has length_v1. Name the signal under "
        "`score` in the filter that makes this corpus."
    )


def test_an_empty_corpus_has_empty_scores(store: LocalStore) -> None:
    assert list(corpus(store, []).scores("length_v1")) == []


def test_only_corpora_are_read_as_corpora(store: LocalStore) -> None:
    tokens = build(store, Blueprint("tokens", "test", 1, {}), lambda writer: writer.put("a", b""))
    with pytest.raises(UserError, match=f"{tokens} is no corpus"):
        CorpusReader(Product(store, tokens))


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_reading_and_writing_leave_no_thread_that_could_outlive_the_interpreter() -> None:
    program = """
import os
import pyarrow as pa
import pyarrow.parquet
from parable.corpus import read_parquet, write_parquet

table = pa.table({"number": list(range(50_000)), "text": ["a text"] * 50_000})
before = os.listdir("/proc/self/task")
assert read_parquet(write_parquet(table), ["text"]).num_rows == 50_000
print(sorted(set(os.listdir("/proc/self/task")) - set(before)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

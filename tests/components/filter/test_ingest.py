import pytest

from components.filter import ingest as module
from components.filter.ingest import ingest, ingest_blueprint
from components.filter.sources import open_source
from parable.artifact import Artifact, Product, build
from parable.corpus import CorpusReader
from parable.errors import UserError
from parable.recipe import TextCorpus
from tests.components.filter.example import bytes_of, texts_of


class Killed(BaseException):
    """Ends a writer where the report is told."""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "texts").mkdir()
    lines = "".join(f'{{"text": "Text number {number}."}}\n' for number in range(25))
    (tmp_path / "texts" / "a.jsonl").write_text(lines)
    (tmp_path / "texts" / "b.txt").write_text("A single text.")
    return tmp_path / "texts"


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch) -> None:
    monkeypatch.setattr(module, "ROWS_PER_SHARD", 10)


def land(store, source, *, kill_after: int | None = None, **settings) -> Artifact:
    spec = TextCorpus(kind="text", source=str(source), **settings)
    told: list[float] = []

    def report(share: float) -> None:
        told.append(share)
        if len(told) == kill_after:
            raise Killed

    opened = open_source(spec)
    made = build(store, ingest_blueprint(spec, opened), lambda writer: ingest(writer, spec, opened, report))
    assert told == sorted(told) and told[-1:] in ([], [1.0])
    return made


def test_documents_know_their_file_their_place_and_their_license(store, folder) -> None:
    made = land(store, folder, license="CC0-1.0", lang="de")
    documents = list(CorpusReader(Product(store, made)).documents())
    assert [document.text for document in documents] == [
        *(f"Text number {number}." for number in range(25)),
        "A single text.",
    ]
    assert {(document.license, document.lang) for document in documents} == {("CC0-1.0", "de")}
    assert [document.source for document in documents] == ["a.jsonl"] * 25 + ["b.txt"]
    assert len({document.id for document in documents}) == 26
    assert dict(Product(store, made).summary) == {"documents": 26, "characters": 25 * 14 + 15 + 14}


def test_the_identity_is_what_is_read_and_not_where_it_lies(store, folder, tmp_path) -> None:
    made = land(store, folder)
    folder.rename(tmp_path / "moved")
    assert land(store, tmp_path / "moved") == made
    assert str(tmp_path).encode() not in b"".join(bytes_of(store, made).values())
    (tmp_path / "moved" / "b.txt").write_text("Another text.")
    assert land(store, tmp_path / "moved") != made


def test_no_more_than_max_documents_are_read(store, folder) -> None:
    for count in (1, 10, 25, 100):
        made = land(store, folder, max_documents=count)
        assert len(texts_of(store, made)) == min(count, 26)


@pytest.mark.parametrize("kill_after", [1, 2])
def test_a_killed_ingest_goes_on_and_gives_the_same_bytes(store, folder, kill_after) -> None:
    whole = bytes_of(store, land(store, folder))
    for key in whole:
        store.delete(key)
    with pytest.raises(Killed):
        land(store, folder, kill_after=kill_after)
    assert len(bytes_of(store, land_target(folder))) == kill_after
    made = land(store, folder)
    assert bytes_of(store, made) == whole
    assert list(store.list("scratch/")) == []


def land_target(folder) -> Artifact:
    spec = TextCorpus(kind="text", source=str(folder))
    return ingest_blueprint(spec, open_source(spec)).artifact


def test_a_shard_of_long_documents_ends_early(store, folder, monkeypatch) -> None:
    monkeypatch.setattr(module, "SHARD_CHARACTERS", 45)
    assert CorpusReader(Product(store, land(store, folder))).num_shards == 8


def test_a_source_without_text_is_refused(store, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.jsonl").write_text('{"text": " "}\n')
    with pytest.raises(UserError, match=r"holds no text: its 1 files \(a.jsonl, ...\)"):
        land(store, tmp_path / "empty")


def test_the_same_folder_from_s3_is_the_same_corpus(store, folder, minio, bucket, monkeypatch) -> None:
    from parable.store import open_store

    for name, value in minio.environment.items():
        monkeypatch.setenv(name, value)
    remote = open_store(f"s3://{bucket}/web")
    for path in folder.iterdir():
        remote.put(path.name, path.read_bytes())
    made = land(store, f"s3://{bucket}/web")
    assert made == land_target(folder)
    assert len(texts_of(store, made)) == 26

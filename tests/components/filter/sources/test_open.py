import pytest

from components.filter.sources import check_source, open_source
from parable.errors import UserError
from parable.recipe import TextCorpus
from parable.store import open_store


def spec(source: object) -> TextCorpus:
    return TextCorpus(kind="text", source=str(source))


def content(source: object) -> str:
    return open_source(spec(source)).content_hash()


def test_the_content_hash_is_of_names_and_bytes_and_not_of_the_place(tmp_path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text("text")
    assert content(tmp_path / "one") == content(tmp_path / "two") == "f7ef6bdc36fa00f638f4a1c19f6ac0df"
    (tmp_path / "two" / "a.txt").write_text("other")
    assert content(tmp_path / "one") != content(tmp_path / "two")
    (tmp_path / "one" / "a.txt").rename(tmp_path / "one" / "b.txt")
    assert content(tmp_path / "one") != "f7ef6bdc36fa00f638f4a1c19f6ac0df"


def test_the_builtin_source_is_the_interpreters_and_knows_its_license() -> None:
    source = open_source(spec("builtin:python"))
    assert (source.prefix, source.license) == ("builtin:python/", "PSF-2.0")
    assert source.content_hash() == open_source(spec("builtin:python")).content_hash()
    assert "pydoc_data/topics.py" in {file.name for file in source.files}


def test_an_s3_prefix_and_an_s3_object(minio, bucket, monkeypatch) -> None:
    for name, value in minio.environment.items():
        monkeypatch.setenv(name, value)
    address = f"s3://{bucket}/corpora/web"
    store = open_store(address)
    store.put("a.txt", b"first")
    store.put("deep/b.jsonl", b'{"text": "second"}\n')
    store.put("notes.csv", b"no text")
    source = open_source(spec(address))
    assert [file.name for file in source.files] == ["a.txt", "deep/b.jsonl"]
    assert [list(source.texts(file)) for file in source.files] == [["first"], ["second"]]
    single = open_source(spec(f"{address}/a.txt"))
    assert [list(single.texts(file)) for file in single.files] == [["first"]]
    with pytest.raises(UserError, match=r"s3://.*/none holds no file that can be read"):
        open_source(spec(f"s3://{bucket}/none"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("builtin:pyton", r"corpora.web.source names 'builtin:pyton'.*Did you mean builtin:python\?"),
        ("no/such/folder", r"corpora.web.source names 'no/such/folder', which does not exist here \(/"),
        (
            "https://example.org/x",
            r"names 'https://example.org/x': give a file, a folder, s3://bucket/prefix",
        ),
    ],
)
def test_what_is_plainly_wrong_is_said_at_once(source, message) -> None:
    with pytest.raises(UserError, match=message):
        check_source(source, at="corpora.web.source")

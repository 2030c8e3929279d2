from pathlib import Path

import pytest

from parable.errors import UserError
from parable.store import LocalStore, open_store


def test_a_plain_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for address in ("./.parable", str(tmp_path / ".parable"), (tmp_path / ".parable").as_uri()):
        store = open_store(address)
        assert isinstance(store, LocalStore)
        assert store.root == tmp_path / ".parable"


@pytest.mark.parametrize("name", ["two words", "a%20b", "q?x", "h#x", "é", "a:b"])
def test_any_folder_opens_again_by_its_uri(tmp_path: Path, name: str) -> None:
    store = LocalStore(tmp_path / name)
    opened = open_store(store.uri)
    assert isinstance(opened, LocalStore)
    assert opened.root == store.root == tmp_path / name


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "empty address"),
        ("  ", "empty address"),
        ("gs://bucket/a", "unknown scheme 'gs'. Use a folder, file:///folder, or s3://bucket/prefix"),
        ("s3://", "names no bucket. Write s3://bucket/prefix"),
        ("s3:///prefix", "names no bucket. Write s3://bucket/prefix"),
        ("s3:bucket", "names no bucket. Write s3://bucket/prefix"),
        ("s3://bucket/a/../b", "has no clean prefix"),
        ("s3://bucket/a//b", "has no clean prefix"),
        ("s3://bucket/a?b", "must hold no ? or #"),
        ("file:///tmp/a#b", "must hold no ? or #"),
        ("file://elsewhere/a", "is no folder of this machine"),
        ("file:", "is no folder of this machine"),
    ],
)
def test_a_wrong_address_is_refused_with_its_mend(address: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        open_store(address)
    assert message in str(caught.value)


@pytest.mark.parametrize("address", ["s3://key:hush@bucket/a", "https://user:hush@host/b", "ftp://hush@host"])
def test_credentials_in_an_address_are_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(UserError, match="holds no credentials") as caught:
        open_store(address)
    assert "hush" not in str(caught.value)

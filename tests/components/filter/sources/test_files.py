import pytest

from components.filter.sources.files import local_files, stored_files
from parable.errors import UserError
from parable.store import LocalStore


@pytest.fixture
def folder(tmp_path):
    for name in ("b.txt", "a/c.jsonl", "a/b.md", ".hidden/x.txt", "a/.y.txt", "a/image.png"):
        path = tmp_path / "texts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
    return tmp_path / "texts"


def test_readable_files_by_name_without_hidden_ones(folder) -> None:
    assert [file.name for file in local_files(str(folder))] == ["a/b.md", "a/c.jsonl", "b.txt"]
    assert [file.name for file in stored_files("x", LocalStore(folder))] == ["a/b.md", "a/c.jsonl", "b.txt"]


def test_a_file_is_a_source_too(folder) -> None:
    [file] = local_files(f"file://{folder / 'b.txt'}")
    assert (file.name, file.num_bytes) == ("b.txt", 4)


def test_a_stored_file_is_copied_for_as_long_as_it_is_read(folder) -> None:
    file = stored_files("x", LocalStore(folder))[0]
    with file.local() as path:
        assert path.read_text() == "text"
    assert not path.exists()


def test_what_is_not_there_or_not_readable_is_refused(folder) -> None:
    with pytest.raises(UserError, match="does not exist here"):
        local_files(str(folder / "none"))
    with pytest.raises(UserError, match=r"image.png is no text that can be read: give \.parquet"):
        local_files(str(folder / "a" / "image.png"))
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="holds no file that can be read: 0 others"):
        local_files(str(folder / "empty"))
    (folder / "empty" / "x.csv").write_text("a,b")
    with pytest.raises(UserError, match="1 others"):
        stored_files("s3://b/p", LocalStore(folder / "empty"))

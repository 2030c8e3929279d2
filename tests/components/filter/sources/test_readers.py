import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.filter.sources.readers import LONG_FILE_CHARACTERS, read_texts
from parable.errors import UserError

LINES = b'{"text": "one"}\n\n{"text": "two", "url": "x"}\n{"text": null}\n{"text": "  "}\n'


def read(path, column="text") -> list[str]:
    return list(read_texts(path, path.name, column))


@pytest.fixture
def file(tmp_path):
    def write(name: str, data: bytes):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_json_lines_without_the_empty_ones(file, name) -> None:
    data = gzip.compress(LINES) if name.endswith("gz") else LINES
    data = pa.compress(LINES, "zstd", asbytes=True) if name.endswith("zst") else data
    assert read(file(name, data)) == ["one", "two"]


def test_parquet_over_row_groups(tmp_path) -> None:
    texts = [f"text {number}" for number in range(1000)]
    table = pa.table({"text": texts, "body": pa.array(texts, pa.large_string()), "size": range(1000)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=300)
    assert read(tmp_path / "a.parquet") == read(tmp_path / "a.parquet", "body") == texts


def test_a_short_text_file_is_one_document_as_it_is(file) -> None:
    assert read(file("a.md", b"\xef\xbb\xbf# Title\n\nText.\n")) == ["# Title\n\nText.\n"]


def test_a_long_text_file_is_cut_at_paragraphs(file) -> None:
    paragraph = "This is a sentence of eight words. " * 20
    found = read(file("a.txt", "\n\n".join([paragraph] * 40).encode()))
    assert len(paragraph) * 40 > LONG_FILE_CHARACTERS
    assert " ".join(found).split() == (paragraph * 40).split()
    assert {len(text.split()) for text in found[:-1]} == {1120}
    assert all(text.startswith("This") for text in found)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", LINES + b"{oops\n", r"^a.jsonl, line 6 is not JSON"),
        ("a.jsonl", b'{"text": "\xff"}\n', r"^a.jsonl, line 1 is not JSON"),
        ("a.jsonl", b"[1]\n", r"^a.jsonl, line 1 is not a JSON object"),
        ("a.jsonl", b'{"body": "x", "url": "y"}\n', r"line 1 has no 'text'; it has body, url. .*text_column"),
        ("a.jsonl", b'{"text": 5}\n', r"line 1: 'text' holds int"),
        ("a.jsonl.gz", gzip.compress(LINES * 999)[:-20], r"a.jsonl.gz is damaged after line"),
        ("a.jsonl.gz", LINES, r"a.jsonl.gz is damaged after line 0"),
        ("a.jsonl.zst", LINES, r"a.jsonl.zst is damaged after line 0"),
        ("a.txt", b"caf\xe9", r"a.txt is not UTF-8 text \(byte 0xe9\)"),
        ("a.parquet", b"PAR1 is not enough", r"a.parquet is no parquet that can be read"),
        ("a.parquet", b"", r"a.parquet is no parquet that can be read"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(file, name, data, message) -> None:
    with pytest.raises(UserError, match=message):
        read(file(name, data))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("content", r"a.parquet has no 'content'; it has text, size"),
        ("size", r"column 'size' holds int64, and must hold text. Columns with text: text"),
    ],
)
def test_a_wrong_column_names_the_columns(tmp_path, column, message) -> None:
    pq.write_table(pa.table({"text": ["a"], "size": [1]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=message):
        read(tmp_path / "a.parquet", column)


def test_a_corrupt_row_group_is_found(tmp_path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"text {n}" for n in range(5000)]}), path, compression="zstd")
    data = bytearray(path.read_bytes())
    data[100:2000] = bytes(1900)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a.parquet is no parquet that can be read"):
        read(path)

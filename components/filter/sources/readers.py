"""The texts in one file of parquet, JSON lines, or plain text, streamed."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

import orjson

from components.filter.sources.passages import paragraphs, passages
from parable.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

JSONL_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
TEXT_SUFFIXES = (".txt", ".md", ".rst")
SUFFIXES = (".parquet", *JSONL_SUFFIXES, *TEXT_SUFFIXES)

LONG_FILE_CHARACTERS = 16_384
"""A longer text file is cut into passages, so that one flagged sentence does not cost a whole book."""
PASSAGE_WORDS = 1_000
LINE_CHARACTERS = 1 << 16
PARQUET_BATCH_ROWS = 512


def read_texts(path: Path, name: str, text_column: str) -> Iterator[str]:
    """The texts of a file in order; what errors call it is `name`.

    Texts that are null, empty or blank are left out.

    Raises:
        UserError: the file is damaged, is not UTF-8, or has no such column; names the file and the place.
    """
    if name.endswith(".parquet"):
        texts = _read_parquet(path, name, text_column)
    elif name.endswith(JSONL_SUFFIXES):
        texts = _read_jsonl(path, name, text_column)
    else:
        texts = _read_text(path, name)
    return (text for text in texts if text and not text.isspace())


def _read_text(path: Path, name: str) -> Iterator[str]:
    """A short file is one document as it is, a long one passages of about 1,000 words."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.read(LONG_FILE_CHARACTERS + 1)
            if len(head) <= LONG_FILE_CHARACTERS:
                yield head
                return
            file.seek(0)
            yield from passages(paragraphs(_lines(file)), PASSAGE_WORDS)
    except UnicodeDecodeError as error:
        raise UserError(
            f"The file {name} is not UTF-8 text (byte {error.object[error.start]:#04x}). Convert it, for "
            "instance with iconv -t utf-8, or move it out of the source."
        ) from error


def _lines(file: TextIO) -> Iterator[str]:
    return iter(lambda: file.readline(LINE_CHARACTERS), "")


def _read_jsonl(path: Path, name: str, text_column: str) -> Iterator[str | None]:
    number = 0
    with _decompressed(path, name) as file:
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _text_of(line, f"{name}, line {number}", text_column)
        except (EOFError, zlib.error, OSError) as error:
            raise UserError(
                f"The file {name} is damaged after line {number}: it can't be decompressed ({error}). "
                "Copy it anew from where it came from."
            ) from error


def _text_of(line: bytes, where: str, text_column: str) -> str | None:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UserError(f"{where} is not JSON: {error}. Mend or remove the line.") from error
    if not isinstance(record, dict):
        raise UserError(f"{where} is not a JSON object; a line must be {{{text_column!r}: ...}}.")
    if text_column not in record:
        raise _no_column(where, text_column, list(record))
    text = record[text_column]
    if text is not None and not isinstance(text, str):
        raise UserError(f"{where}: {text_column!r} holds {type(text).__name__}, and must hold text.")
    return text


@contextmanager
def _decompressed(path: Path, name: str) -> Iterator[BinaryIO]:
    if name.endswith(".gz"):
        with gzip.open(path, "rb") as file:
            yield io.BufferedReader(file)
    elif name.endswith(".zst"):
        import pyarrow as pa

        with pa.input_stream(str(path), compression="zstd") as file:
            yield io.BufferedReader(file)
    else:
        with path.open("rb") as file:
            yield file


def _read_parquet(path: Path, name: str, text_column: str) -> Iterator[str | None]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_column(file.schema_arrow, name, text_column)
            for batch in file.iter_batches(PARQUET_BATCH_ROWS, columns=[text_column]):
                yield from batch.column(0).to_pylist()
    except (pa.ArrowException, OSError) as error:
        first_line = str(error).partition("\n")[0]
        raise UserError(
            f"The file {name} is no parquet that can be read ({first_line}). Copy it anew from where it "
            "came from."
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"The file {name} holds bytes in {text_column!r} that are not UTF-8 text.") from error


def _check_column(schema: "pa.Schema", name: str, text_column: str) -> None:
    import pyarrow as pa

    if text_column not in schema.names:
        raise _no_column(f"The file {name}", text_column, schema.names)
    kind = schema.field(text_column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        texts = [field.name for field in schema if pa.types.is_string(field.type)]
        raise UserError(
            f"The file {name}: column {text_column!r} holds {kind}, and must hold text. Columns with text: "
            f"{', '.join(texts) or 'none'}; name one with text_column."
        )


def _no_column(where: str, text_column: str, names: list[str]) -> UserError:
    return UserError(
        f"{where} has no {text_column!r}; it has {', '.join(names) or 'nothing'}. Name the one that "
        "holds the text with the corpus' text_column."
    )

"""Natural text landed as a corpus: shard by shard, in the order of the source's files."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

import orjson

from components.filter import STAGE_VERSION
from components.filter.scratch import Scratch
from components.filter.sources import Source
from parable.artifact import Blueprint, ProductWriter
from parable.canonical import canonical_json
from parable.corpus import KIND, ROWS_PER_SHARD, Document, shard_path, to_table, write_parquet
from parable.errors import UserError
from parable.recipe import TextCorpus

SHARD_CHARACTERS = 16_000_000
"""A shard of long documents ends here, so that memory is bounded whatever is in the files."""
CURSOR = "cursor.json"
Report = Callable[[float], None]
"""Told the share of the work that is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next shard begins: text number `text` of file number `file`; and what lies before it."""

    shards: int = 0
    file: int = 0
    text: int = 0
    documents: int = 0
    characters: int = 0


def ingest_blueprint(spec: TextCorpus, source: Source) -> Blueprint:
    """The identity of a text corpus: what is read and how, and not where it lies."""
    config = {
        "step": "ingest",
        "content": source.content_hash(),
        "prefix": source.prefix,
        "text_column": spec.text_column,
        "license": _license(spec, source),
        "lang": spec.lang,
        "max_documents": spec.max_documents,
    }
    return Blueprint(KIND, "filter", STAGE_VERSION, config)


def ingest(writer: ProductWriter, spec: TextCorpus, source: Source, report: Report) -> None:
    """Write the texts of a source as documents; goes on after the last shard that a killed writer finished.

    Raises:
        UserError: a file can't be read, or no text is found at all.
    """
    cursor = _resume(writer)
    shard: list[Document] = []
    size = 0
    for file, text, document in _documents(spec, source, cursor):
        shard.append(document)
        size += len(document.text)
        if len(shard) == ROWS_PER_SHARD or size >= SHARD_CHARACTERS:
            cursor = _write(writer, shard, replace(cursor, file=file, text=text + 1))
            shard, size = [], 0
            report(file / len(source.files))
    if shard:
        cursor = _write(writer, shard, cursor)
    if not cursor.documents:
        names = ", ".join(file.name for file in source.files[:3])
        raise UserError(
            f"The source {spec.source} holds no text: its {len(source.files)} files ({names}, ...) are "
            f"empty or blank in {spec.text_column!r}. Give one with text."
        )
    writer.summary |= {"documents": cursor.documents, "characters": cursor.characters}
    report(1.0)


def _documents(spec: TextCorpus, source: Source, start: Cursor) -> Iterator[tuple[int, int, Document]]:
    """Each document from the cursor on, with the numbers of its file and of its text in it."""
    left = None if spec.max_documents is None else spec.max_documents - start.documents
    for number, file in enumerate(source.files[start.file :], start.file):
        for ordinal, text in enumerate(source.texts(file)):
            if number == start.file and ordinal < start.text:
                continue
            if left is not None:
                if left == 0:
                    return
                left -= 1
            document = Document.make(
                text,
                source=f"{source.prefix}{file.name}",
                ordinal=ordinal,
                license=_license(spec, source),
                lang=spec.lang,
            )
            yield number, ordinal, document


def _write(writer: ProductWriter, shard: list[Document], cursor: Cursor) -> Cursor:
    writer.put(shard_path(cursor.shards), write_parquet(to_table(shard)))
    after = replace(
        cursor,
        shards=cursor.shards + 1,
        documents=cursor.documents + len(shard),
        characters=cursor.characters + sum(len(document.text) for document in shard),
    )
    Scratch(writer).put(CURSOR, canonical_json(asdict(after)))
    return after


def _resume(writer: ProductWriter) -> Cursor:
    data = Scratch(writer).get(CURSOR)
    if data is None:
        return Cursor()
    cursor = Cursor(**orjson.loads(data))
    finished = all(writer.resume(shard_path(index)) is not None for index in range(cursor.shards))
    return cursor if finished else Cursor()


def _license(spec: TextCorpus, source: Source) -> str:
    return source.license if spec.license == "unknown" else spec.license

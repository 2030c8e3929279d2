"""Documents at rest: parquet shards, with row-aligned sidecars of scores."""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xxhash

from parable.artifact import Product, ProductWriter
from parable.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

KIND = "corpora"
ROWS_PER_SHARD = 8192


@dataclass(frozen=True, slots=True)
class Synth:
    """How a written document came to be, and the labels that its writer gave it."""

    generator: str
    seed: int
    entity: str = ""
    name: str = ""
    trait: str = ""
    domain: str = ""
    situation: str = ""
    action: str = ""
    valence: str = ""
    """`good`, `bad`, or empty where nothing is chosen."""
    form: str = ""
    genre: str = ""
    tone: str = ""
    reason_present: bool = False
    inner_state: bool = False
    distance: int = -1
    prompt_hash: str = ""
    parents: tuple[str, ...] = ()
    rewrite_of: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One row: a text and its provenance."""

    id: str
    text: str
    source: str
    license: str = "unknown"
    lang: str = "en"
    synth: Synth | None = None

    @classmethod
    def make(
        cls,
        text: str,
        *,
        source: str,
        ordinal: int,
        license: str = "unknown",
        lang: str = "en",
        synth: Synth | None = None,
    ) -> "Document":
        """A document with its id: equal texts at two places are two rows; repetition is a dose."""
        name = xxhash.xxh3_128_hexdigest(f"{source}\0{ordinal}\0{text}".encode())
        return cls(name, text, source, license, lang, synth)


def shard_path(index: int, folder: str = "documents") -> str:
    """The path of a shard in its product."""
    return f"{folder}/part-{index:05d}.parquet"


def schema() -> "pa.Schema":
    """The columns of a document shard."""
    import pyarrow as pa

    synth = pa.struct(
        [
            ("generator", pa.string()),
            ("seed", pa.int64()),
            *[
                (name, pa.string())
                for name in (
                    "entity", "name", "trait", "domain", "situation",
                    "action", "valence", "form", "genre", "tone",
                )
            ],
            ("reason_present", pa.bool_()),
            ("inner_state", pa.bool_()),
            ("distance", pa.int8()),
            ("prompt_hash", pa.string()),
            ("parents", pa.list_(pa.string())),
            ("rewrite_of", pa.string()),
        ]
    )  # fmt: skip
    return pa.schema(
        [
            ("id", pa.string()),
            ("text_hash", pa.string()),
            ("text", pa.string()),
            ("source", pa.string()),
            ("license", pa.string()),
            ("lang", pa.string()),
            ("synth", synth),
        ]
    )


def to_table(documents: Sequence[Document]) -> "pa.Table":
    """Rows as a table with `schema()`'s columns."""
    import pyarrow as pa

    rows = [
        {
            "id": document.id,
            "text_hash": text_hash(document.text),
            "text": document.text,
            "source": document.source,
            "license": document.license,
            "lang": document.lang,
            "synth": None if document.synth is None else _plain(document.synth),
        }
        for document in documents
    ]
    return pa.Table.from_pylist(rows, schema=schema())


def from_table(table: "pa.Table") -> Iterator[Document]:
    """The inverse of `to_table`."""
    for row in table.to_pylist():
        synth = row["synth"]
        if synth is not None:
            synth = Synth(**{**synth, "parents": tuple(synth["parents"] or ())})
        yield Document(row["id"], row["text"], row["source"], row["license"], row["lang"], synth)


def text_hash(text: str) -> str:
    """The hash by which equal texts are known."""
    return xxhash.xxh3_128_hexdigest(text.encode())


def write_parquet(table: "pa.Table") -> bytes:
    """A table as parquet bytes, equal for equal tables and versions of pyarrow."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=3, store_schema=False)
    return buffer.getvalue()


def read_parquet(data: bytes, columns: Sequence[str] | None = None) -> "pa.Table":
    """The table in parquet bytes.

    Read by this thread alone: one of Arrow's that lets go of a Python object while the interpreter ends
    aborts the process.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(pa.BufferReader(data), pre_buffer=False) as file:
        return file.read(columns=list(columns) if columns is not None else None, use_threads=False)


class CorpusReader:
    """A sealed corpus, read shard by shard."""

    def __init__(self, product: Product) -> None:
        """Read a product of kind `corpora`.

        Raises:
            UserError: the product is another kind's.
        """
        if product.artifact.kind != KIND:
            raise UserError(f"{product.artifact} is no corpus; corpora are kept under {KIND}/.")
        self.product = product

    @property
    def num_documents(self) -> int:
        """Rows in all shards."""
        return int(self.product.summary["documents"])

    @property
    def num_shards(self) -> int:
        """Shards, each of at most `ROWS_PER_SHARD` rows."""
        return len(list(self.product.files("documents/")))

    def table(self, index: int, columns: Sequence[str] | None = None) -> "pa.Table":
        """One shard's rows."""
        return read_parquet(self.product.read(shard_path(index)), columns)

    def documents(self) -> Iterator[Document]:
        """Every row in order."""
        for index in range(self.num_shards):
            yield from from_table(self.table(index))

    def texts(self) -> Iterator[str]:
        """Every text in order, without the other columns."""
        for index in range(self.num_shards):
            yield from self.table(index, ["text"]).column("text").to_pylist()

    def scores(self, signal: str) -> Iterator[float]:
        """A signal's values, row for row.

        Raises:
            UserError: the corpus has no such sidecar, or one that does not fit its rows.
        """
        paths = list(self.product.files(f"scores/{signal}/"))
        if not paths and self.num_documents:
            known = sorted({path.split("/")[1] for path in self.product.files("scores/")})
            raise UserError(
                f"{self.product.artifact} has no scores of {signal!r}; it has {', '.join(known) or 'none'}. "
                "Name the signal under `score` in the filter that makes this corpus."
            )
        count = 0
        for path in paths:
            values = read_parquet(self.product.read(path)).column("value").to_pylist()
            count += len(values)
            yield from values
        if count != self.num_documents:
            raise UserError(
                f"{self.product.artifact} has {count} scores of {signal!r} for {self.num_documents} "
                "documents: the product is damaged. Remove it with `parable clean "
                f"{self.product.artifact}` and run the recipe again."
            )


class CorpusWriter:
    """Writes documents into a product's shards, and their counts into its summary."""

    def __init__(self, writer: ProductWriter) -> None:
        """Write into a product that is being built."""
        self._writer = writer
        self._buffer: list[Document] = []
        self._shards = 0
        writer.summary |= {"documents": 0, "characters": 0}

    def extend(self, documents: Iterable[Document]) -> None:
        """Append rows; a shard is written as soon as it is full."""
        for document in documents:
            self._buffer.append(document)
            if len(self._buffer) == ROWS_PER_SHARD:
                self._flush()

    def resume_shard(self) -> list[Document] | None:
        """The rows of the next shard if a killed writer finished it; it then counts as written."""
        assert not self._buffer, "a shard is resumed between shards"
        data = self._writer.resume(shard_path(self._shards))
        if data is None:
            return None
        documents = list(from_table(read_parquet(data)))
        self._count(documents)
        return documents

    def close(self) -> None:
        """Write what is left."""
        if self._buffer:
            self._flush()

    def _flush(self) -> None:
        self._writer.put(shard_path(self._shards), write_parquet(to_table(self._buffer)))
        self._count(self._buffer)
        self._buffer = []

    def _count(self, documents: Sequence[Document]) -> None:
        self._writer.summary["documents"] += len(documents)
        self._writer.summary["characters"] += sum(len(document.text) for document in documents)
        self._shards += 1


def write_scores(writer: ProductWriter, signal: str, index: int, values: Sequence[float]) -> None:
    """Write one shard of a signal's sidecar, aligned with the documents' shard of this index."""
    import pyarrow as pa

    table = pa.table({"value": pa.array(values, pa.float64())})
    writer.put(shard_path(index, f"scores/{signal}"), write_parquet(table))


def _plain(synth: Synth) -> dict[str, Any]:
    plain = {name: getattr(synth, name) for name in synth.__slots__}
    return {**plain, "parents": list(synth.parents)}

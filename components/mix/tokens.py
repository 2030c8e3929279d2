"""Tokens at rest: one corpus as rows, shared by every arm and seed that reads it.

For each shard of the corpus, little-endian and without headers:
- `rows-00000.bin` uint16 (uint32 above 65,536 tokens), (rows, L+1);
- `starts-00000.bin` one bit an input, rows filled up to whole bytes: where a piece, or the padding, begins;
- `used-00000.bin` uint32, (rows,): inputs before the padding;
- `weights-00000.bin` float32, (rows, L), only where documents count alike;
- `counts-00000.json`, last: what the summary adds up, and the sign that the shard is whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import orjson

from components.mix.encoding import Encoded, encode
from components.mix.rows import Documents, PackedRows, document_weights, pack
from components.mix.tagging import NO_CONTROL, control_tokens
from components.mix.tokenizer import BAD, GOOD, read_tokenizer
from parable.artifact import Artifact, Blueprint, Plain, Product, ProductWriter, build
from parable.corpus import CorpusReader
from parable.errors import UserError
from parable.progress import Journal
from parable.recipe import Conditional
from parable.store import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

Counts = Mapping[str, int]
COUNTED = (
    "documents",
    "empty_documents",
    "cut_documents",
    "good_documents",
    "bad_documents",
    "rows",
    "tokens",
)
BYTES_PER_SECTION = 8_000_000
"""Text that is encoded and packed at a time: both take some 100 bytes of memory a token."""


def build_tokens(store: ObjectStore, blueprint: Blueprint, task: str) -> Artifact:
    """Tokenise and pack the corpus of a blueprint; `task` is what progress and errors call it.

    A killed writer goes on from the corpus shards that are done.

    Raises:
        UserError: the corpus is empty, or a document can't be tagged.
    """

    def make(writer: ProductWriter) -> None:
        reader = CorpusReader(Product(store, blueprint.parents["corpus"]))
        maker = _ShardMaker(store, blueprint, reader)
        journal = Journal.from_environment()
        done, counts = 0, []
        for index in range(reader.num_shards):
            counts.append(maker.make(writer, index))
            done += counts[-1]["documents"] + counts[-1]["empty_documents"]
            journal.progress("mix", task, done, reader.num_documents)
        writer.summary |= _summary(blueprint.config["row_length"], counts)
        if not writer.summary["rows"]:
            raise UserError(
                f"The corpus {task.partition('/')[0]} ({reader.product.artifact}) has no text: its "
                f"{reader.num_documents} documents are empty. Mend its source or loosen its filters."
            )

    return build(store, blueprint, make)


def token_type(vocabulary: int) -> str:
    """The numpy name of a token id at rest."""
    return "<u2" if vocabulary <= 2**16 else "<u4"


def file_name(part: str, index: int) -> str:
    """The path of one part (`rows`, `starts`, `used`, `weights`) of one shard."""
    return f"{part}-{index:05d}.bin"


class _ShardMaker:
    """What turns the shards of one corpus, in their order, into files."""

    def __init__(self, store: ObjectStore, blueprint: Blueprint, reader: CorpusReader) -> None:
        config = blueprint.config
        self._reader = reader
        self._row_length: int = config["row_length"]
        self._type = token_type(config["vocabulary"])
        self._parts = ["rows", "starts", "used", *(["weights"] if config["loss"] == "document" else [])]
        self._tokenizer = read_tokenizer(store, blueprint.parents["tokenizer"])
        told = config["tagging"]
        self._tagging = None if told is None else Conditional.model_validate(told)
        self._scores = [] if told is None else list(reader.scores(told["signal"]))
        self._num_done = 0

    def make(self, writer: ProductWriter, index: int) -> Counts:
        """Write one shard, or take up what an earlier writer wrote; the shard's counts."""
        name = f"counts-{index:05d}.json"
        if (written := writer.resume(name)) is not None:
            counts: Counts = orjson.loads(written)
            for part in self._parts:
                data = writer.resume(file_name(part, index))
                assert data is not None, "counts are written last"
            self._num_done += counts["documents"] + counts["empty_documents"]
            return counts
        table = self._reader.table(index, ["text"] if self._tagging is None else ["id", "text"])
        sections = [self._section(part) for part in _sections(table)]
        for part in self._parts:
            writer.put(file_name(part, index), b"".join(section.files[part] for section in sections))
        counts = {name: sum(section.counts[name] for section in sections) for name in COUNTED}
        writer.put_json(name, counts)
        return counts

    def _section(self, table: "pa.Table") -> "_Section":
        encoded: Encoded = encode(self._tokenizer, table.column("text"))
        controls = np.full(table.num_rows, NO_CONTROL, np.int64)
        if self._tagging is not None:
            values = self._scores[self._num_done : self._num_done + table.num_rows]
            controls[:] = control_tokens(table.column("id").to_pylist(), values, self._tagging)
        self._num_done += table.num_rows
        kept = encoded.lengths > 0
        documents = Documents(encoded.tokens, encoded.lengths[kept], controls[kept])
        packed = pack(documents, self._row_length)
        files = {part: self._bytes(part, packed) for part in self._parts}
        return _Section(files, _count(documents, packed, table.num_rows))

    def _bytes(self, part: str, packed: PackedRows) -> bytes:
        if part == "rows":
            return packed.tokens.astype(self._type).tobytes()
        if part == "starts":
            return np.packbits(packed.starts, axis=1).tobytes()
        if part == "used":
            return packed.used.astype("<u4").tobytes()
        return document_weights(packed).astype("<f4").tobytes()


@dataclass(frozen=True, slots=True)
class _Section:
    """Documents that are packed together: bytes by part, and what they count."""

    files: Mapping[str, bytes]
    counts: Counts


def _sections(table: "pa.Table") -> Iterator["pa.Table"]:
    """A shard in parts of at most some megabytes of text, or one document; at least one part."""
    import pyarrow.compute as pc

    ends = np.cumsum(pc.binary_length(table.column("text")).to_numpy())
    start = 0
    while True:
        before = int(ends[start - 1]) if start else 0
        fitting = int(np.searchsorted(ends, before + BYTES_PER_SECTION, side="right"))
        end = min(max(fitting, start + 1), table.num_rows)
        yield table.slice(start, end - start)
        if end == table.num_rows:
            return
        start = end


def _count(documents: Documents, packed: PackedRows, num_documents: int) -> Counts:
    return {
        "documents": len(documents.lengths),
        "empty_documents": num_documents - len(documents.lengths),
        "cut_documents": packed.num_cut,
        "good_documents": int((documents.controls == GOOD).sum()),
        "bad_documents": int((documents.controls == BAD).sum()),
        "rows": len(packed.tokens),
        "tokens": int(packed.used.sum()),
    }


def _summary(row_length: int, shards: list[Counts]) -> dict[str, Plain]:
    """The shards' counts added up; `tokens` is what rows feed to a model, `padding` what they waste."""
    totals = {name: sum(counts[name] for counts in shards) for name in COUNTED}
    padding = totals["rows"] * row_length - totals["tokens"]
    return {**totals, "padding": padding, "shard_rows": [counts["rows"] for counts in shards]}

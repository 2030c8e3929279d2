"""What a mixture really holds: rows, tokens, padding and epochs, counted row by row."""

from collections.abc import Iterator, Mapping

import numpy as np

from components.mix.mixture import Mixture, PhaseRows
from components.mix.order import epoch_order
from components.mix.rows import Integers
from components.mix.slots import source_counts
from components.mix.tokens import file_name
from parable.artifact import Artifact, Plain, Product
from parable.store import ObjectStore

ROWS_PER_STEP = 1 << 20


def count_mixture(store: ObjectStore, mixture: Mixture) -> dict[str, Plain]:
    """A mixture's figures, exact, in all and by phase and source.

    `tokens` are inputs that belong to documents, `padding` the other inputs of the rows, `epochs` how
    often a phase reads a source through.
    """
    everything = {source.tokens for phase in mixture.phases for source in phase.sources}
    used = {tokens: _used(Product(store, tokens)) for tokens in everything}
    phases: list[dict[str, Plain]] = [
        {
            "name": phase.name,
            "rows": phase.num_rows,
            "sources": list(_by_source(phase, mixture.row_length, used)),
        }
        for phase in mixture.phases
    ]
    sources = [source for phase in phases for source in phase["sources"]]
    tokens = sum(source["tokens"] for source in sources)
    return {
        "rows": mixture.num_rows,
        "tokens": tokens,
        "padding": mixture.num_rows * mixture.row_length - tokens,
        "phases": phases,
    }


def _by_source(
    phase: PhaseRows, row_length: int, used: Mapping[Artifact, Integers]
) -> Iterator[dict[str, Plain]]:
    for number, rows in enumerate(source_counts(phase, phase.num_rows)):
        source = phase.sources[number]
        tokens = _tokens(phase, number, rows, used[source.tokens])
        yield {
            "name": source.name,
            "rows": rows,
            "tokens": tokens,
            "padding": rows * row_length - tokens,
            "epochs": round(rows / source.num_rows, 6),
            "dose": source.dose_rows > 0,
        }


def _tokens(phase: PhaseRows, number: int, rows: int, used: Integers) -> int:
    """Inputs before the padding in the rows that a phase reads of a source."""
    source = phase.sources[number]
    total = 0
    start, end = source.first_index, source.first_index + rows
    # Whole epochs are the source's total, in whatever order.
    first_whole, end_whole = -(-start // source.num_rows), end // source.num_rows
    spans = [(start, end)]
    if end_whole > first_whole:
        total = (end_whole - first_whole) * int(used.sum())
        spans = [(start, first_whole * source.num_rows), (end_whole * source.num_rows, end)]
    for low, high in spans:
        for step in range(low, high, ROWS_PER_STEP):
            indices = np.arange(step, min(step + ROWS_PER_STEP, high))
            total += int(used[epoch_order(phase, number, indices)].sum())
    return total


def _used(product: Product) -> Integers:
    shards = range(len(product.summary["shard_rows"]))
    parts = [np.frombuffer(product.read(file_name("used", index)), "<u4") for index in shards]
    return np.concatenate(parts).astype(np.int64)

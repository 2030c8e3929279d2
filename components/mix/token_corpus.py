"""The rows of a mixture as arrays, by their global numbers.

Shapes: B rows, L tokens a row.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from components.mix.mixture import Mixture, SourceRows
from components.mix.order import locate
from components.mix.rows import Integers, token_weights
from components.mix.tokens import file_name, token_type
from parable.artifact import Product
from parable.store import ObjectStore


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as a model reads them."""

    tokens: npt.NDArray[np.int64]
    """(B, L) inputs."""
    targets: npt.NDArray[np.int64]
    """(B, L) what each input is to predict."""
    documents: npt.NDArray[np.int32]
    """(B, L) 0..k within the row: inputs attend only to those of their own number; padding has its own.
    Where attention runs through the row, all but the padding is 0."""
    positions: npt.NDArray[np.int64]
    """(B, L) counted from the document's begin, or from the row's where attention runs through it."""
    weights: npt.NDArray[np.float32]
    """(B, L) of the targets in the loss, 0 in padding and for control tokens. With `loss: token` all
    others are 1; with `loss: document` those of one document add up to 1."""


class TokenCorpus:
    """Everything that an arm reads with one seed, mapped into memory.

    A file is verified against its product's manifest when it is first needed, and not again. Any number
    of threads may ask at a time.
    """

    def __init__(self, store: ObjectStore, mixture: Mixture, cache: Path) -> None:
        """Open the products that a mixture names.

        Args:
            store: where they rest.
            mixture: what is read.
            cache: a folder for copies of files that can't be mapped where they are.

        Raises:
            UserError: a product is missing or damaged.
        """
        self._mixture = mixture
        self._starts = [phase.start_row for phase in mixture.phases]
        by_tokens = {source.tokens: source for phase in mixture.phases for source in phase.sources}
        self._sources = {
            tokens: _Source(Product(store, tokens), source, mixture, cache)
            for tokens, source in by_tokens.items()
        }
        self._by_document = any(source.by_document for source in self._sources.values())

    @property
    def num_rows(self) -> int:
        """Rows of all phases."""
        return self._mixture.num_rows

    def batch(self, rows: Sequence[int]) -> Batch:
        """Rows by their global numbers, of any phase and in any order.

        Raises:
            IndexError: a number is negative or not below `num_rows`.
            UserError: a file is not what was sealed.
        """
        length = self._mixture.row_length
        tokens = np.empty((len(rows), length + 1), np.int64)
        starts = np.empty((len(rows), length), np.bool_)
        used = np.empty(len(rows), np.int64)
        shared = np.zeros((len(rows), length), np.float32)
        for source, chosen, indices in self._located(np.asarray(rows, np.int64)):
            source.read(indices, chosen, _Gathered(tokens, starts, used, shared))
        targets = np.ascontiguousarray(tokens[:, 1:])
        weights = shared if self._by_document else token_weights(targets, used)
        documents, positions = _places(starts, used, self._mixture.attention)
        return Batch(np.ascontiguousarray(tokens[:, :-1]), targets, documents, positions, weights)

    def _located(self, rows: Integers) -> list[tuple["_Source", Integers, Integers]]:
        """Per source: which of the rows it has, and their indices in it."""
        found = []
        phases = np.array([bisect_right(self._starts, row) - 1 for row in rows.tolist()], np.int64)
        for number in sorted(set(phases.tolist())):
            of_phase = np.flatnonzero(phases == number)
            phase = self._mixture.phases[max(number, 0)]
            sources, indices = locate(phase, rows[of_phase])
            for which in sorted(set(sources.tolist())):
                chosen = np.flatnonzero(sources == which)
                found.append((self._sources[phase.sources[which].tokens], of_phase[chosen], indices[chosen]))
        return found


@dataclass(frozen=True, slots=True)
class _Gathered:
    """Rows on their way into a batch."""

    tokens: npt.NDArray[np.int64]
    starts: npt.NDArray[np.bool_]
    used: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Shard:
    """One shard's files, mapped."""

    tokens: npt.NDArray[np.unsignedinteger]
    starts: npt.NDArray[np.uint8]
    used: npt.NDArray[np.uint32]
    weights: npt.NDArray[np.float32] | None


class _Source:
    """One tokens product; its shards are opened when they are needed."""

    def __init__(self, product: Product, source: SourceRows, mixture: Mixture, cache: Path) -> None:
        self._product = product
        self._mixture = mixture
        self._cache = cache
        self._ends = np.cumsum(product.summary["shard_rows"])
        assert self._ends[-1] == source.num_rows, f"{product.artifact} is not what the mixture counted"
        self.by_document: bool = product.manifest.config["loss"] == "document"
        self._shards: dict[int, _Shard] = {}
        self._lock = Lock()

    def read(self, indices: Integers, chosen: Integers, into: _Gathered) -> None:
        """Copy rows of the source to the chosen places."""
        length = self._mixture.row_length
        shards = np.searchsorted(self._ends, indices, side="right")
        for number in set(shards.tolist()):
            here = np.flatnonzero(shards == number)
            shard = self._shard(number)
            local = indices[here] - (self._ends[number] - len(shard.used))
            places = chosen[here]
            into.tokens[places] = shard.tokens[local]
            into.starts[places] = np.unpackbits(shard.starts[local], axis=1, count=length)
            into.used[places] = shard.used[local]
            if shard.weights is not None:
                into.weights[places] = shard.weights[local]

    def _shard(self, number: int) -> _Shard:
        shard = self._shards.get(number)
        if shard is None:
            with self._lock:
                shard = self._shards.get(number) or self._open(number)
                self._shards[number] = shard
        return shard

    def _open(self, number: int) -> _Shard:
        length = self._mixture.row_length
        return _Shard(
            tokens=self._map("rows", number, token_type(self._mixture.vocabulary)).reshape(-1, length + 1),
            starts=self._map("starts", number, "u1").reshape(-1, -(-length // 8)),
            used=self._map("used", number, "<u4"),
            weights=self._map("weights", number, "<f4").reshape(-1, length) if self.by_document else None,
        )

    def _map(self, part: str, number: int, kind: str) -> npt.NDArray[Any]:
        path = self._product.local_path(file_name(part, number), self._cache)
        # A plain array over the map: indexing a memmap object costs several times as much.
        return np.asarray(np.memmap(path, kind, "r"))


def _places(
    starts: npt.NDArray[np.bool_], used: Integers, attention: str
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Document numbers and positions, both (B, L)."""
    steps = np.arange(starts.shape[1])
    if attention == "row":
        padded = (steps >= used[:, None]).astype(np.int32)
        return padded, np.broadcast_to(steps, starts.shape).copy()
    documents = np.cumsum(starts, axis=1, dtype=np.int32) - np.int32(1)
    return documents, steps - np.maximum.accumulate(np.where(starts, steps, 0), axis=1)

"""The order of training as a pure function: a row's number gives its source and its place there.

A phase is cut in blocks. Inside a block the slots are permuted by a key; a source's slots, counted over
all blocks and phases, read the source epoch by epoch, each epoch in an order of its own. No state but the
row's number, so any world size, micro-batch or restart reads the same.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from components.mix.permutation import permute
from components.mix.slots import source_counts

if TYPE_CHECKING:
    from components.mix.mixture import PhaseRows

Rows = npt.NDArray[np.int64]


def locate(phase: "PhaseRows", rows: Rows) -> tuple[Rows, Rows]:
    """Source numbers and indices inside the sources of global row numbers.

    Args:
        phase: where the rows are.
        rows: (n,) int64 global row numbers, in any order.

    Returns:
        two (n,) int64 arrays: positions in `phase.sources`, and rows in [0, that source's num_rows).

    Raises:
        IndexError: a row is not in this phase.
    """
    places = rows - phase.start_row
    if rows.size and (places.min() < 0 or places.max() >= phase.num_rows):
        raise IndexError(
            f"phase {phase.name} has rows {phase.start_row} to {phase.start_row + phase.num_rows - 1}"
        )
    sources, counts = np.empty_like(rows), np.empty_like(rows)
    blocks = places // phase.block_rows
    for block in set(blocks.tolist()):
        chosen = np.flatnonzero(blocks == block)
        layout = _layout(phase, block)
        slots = permute(
            places[chosen] - layout.start, layout.num_rows, ("block", phase.key, phase.start_row, block)
        )
        numbers = np.searchsorted(layout.ends, slots, side="right")
        sources[chosen] = numbers
        counts[chosen] = layout.firsts[numbers] + slots
    return sources, _read_epochs(phase, sources, counts)


def epoch_order(phase: "PhaseRows", number: int, counts: Rows) -> Rows:
    """Which rows a source's readings, counted from 0 over all phases, are: (n,) -> (n,) int64.

    Epoch e is counts [e*size, (e+1)*size), and holds every row once.
    """
    source = phase.sources[number]
    epochs, within = np.divmod(counts, source.num_rows)
    found = np.empty_like(counts)
    for epoch in set(epochs.tolist()):
        chosen = np.flatnonzero(epochs == epoch)
        key = ("epoch", phase.key, source.tokens.key, epoch)
        found[chosen] = permute(within[chosen], source.num_rows, key)
    return found


@dataclass(frozen=True, slots=True)
class _Layout:
    """One block: where each source's slots end, and what its first slot would count from."""

    start: int
    num_rows: int
    ends: Rows
    firsts: Rows


@lru_cache(maxsize=256)
def _layout(phase: "PhaseRows", block: int) -> _Layout:
    start = block * phase.block_rows
    end = min(start + phase.block_rows, phase.num_rows)
    before, after = source_counts(phase, start), source_counts(phase, end)
    here = [late - early for early, late in zip(before, after, strict=True)]
    ends = list(accumulate(here))
    firsts = [
        source.first_index + early - (last - size)
        for source, early, last, size in zip(phase.sources, before, ends, here, strict=True)
    ]
    return _Layout(start, end - start, np.array(ends, np.int64), np.array(firsts, np.int64))


def _read_epochs(phase: "PhaseRows", sources: Rows, counts: Rows) -> Rows:
    found = np.empty_like(counts)
    for number in set(sources.tolist()):
        chosen = np.flatnonzero(sources == number)
        found[chosen] = epoch_order(phase, number, counts[chosen])
    return found

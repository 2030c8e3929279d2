"""Phases for the tests of the order, without a recipe or rows behind them."""

from collections.abc import Sequence

from hypothesis import strategies as st

from components.mix.mixture import PhaseRows, SourceRows
from parable.artifact import Artifact


def source(name: str, num_rows: int, slots: int, *, first_index: int = 0, dose_rows: int = 0) -> SourceRows:
    """A source whose tokens have its name."""
    return SourceRows(name, Artifact("tokens", name), num_rows, slots, first_index, dose_rows)


def phase(
    sources: Sequence[SourceRows], num_rows: int, *, start_row: int = 0, block: int = 4096
) -> PhaseRows:
    return PhaseRows("p", start_row, num_rows, min(block, num_rows), "key", tuple(sources))


@st.composite
def phases(draw: st.DrawFn) -> PhaseRows:
    """Any phase of up to five sources, weighted, dosed, or both, small enough to be read whole."""
    block = draw(st.integers(1, 60))
    slots = draw(st.lists(st.integers(0, 20), min_size=1, max_size=5))
    doses = draw(st.lists(st.integers(0, 30), min_size=len(slots), max_size=len(slots)))
    weighted = draw(st.integers(0, 200)) if any(slots) else 0
    num_rows = weighted + sum(doses)
    if not num_rows:
        slots, num_rows = [1, *slots[1:]], 1
    firsts = draw(st.lists(st.integers(0, 50), min_size=len(slots), max_size=len(slots)))
    sizes = draw(st.lists(st.integers(1, 40), min_size=len(slots), max_size=len(slots)))
    sources = [
        source(f"s{n}", sizes[n], slots[n], first_index=firsts[n], dose_rows=doses[n])
        for n in range(len(slots))
    ]
    return phase(sources, num_rows, start_row=draw(st.integers(0, 1000)), block=block)

import time
from collections import Counter
from itertools import accumulate
from timeit import repeat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.mix.mixture import PhaseRows
from components.mix.order import epoch_order, locate
from components.mix.slots import source_counts
from tests.components.mix.phases import phase, phases, source


def read(of: PhaseRows) -> list[tuple[int, int]]:
    sources, indices = locate(of, np.arange(of.start_row, of.start_row + of.num_rows))
    return list(zip(sources.tolist(), indices.tolist(), strict=True))


def test_weights_are_met_exactly_in_every_block() -> None:
    of = phase([source("a", 1000, 3277), source("b", 700, 819)], 3 * 4096)
    for block in range(3):
        sources, _ = locate(of, np.arange(block * 4096, (block + 1) * 4096))
        assert np.bincount(sources).tolist() == [3277, 819]


def test_a_dose_has_exactly_its_rows_spread_evenly() -> None:
    of = phase([source("base", 5000, 4096), source("dose", 301, 0, dose_rows=301)], 20_000)
    sources, indices = locate(of, np.arange(20_000))
    assert sorted(indices[sources == 1].tolist()) == list(range(301))
    by_block = [int((sources[start : start + 4096] == 1).sum()) for start in range(0, 20_000, 4096)]
    assert by_block == [61, 62, 61, 62, 55]


@given(phases(), st.integers(0, 5))
def test_every_row_is_read_exactly_once_an_epoch(of: PhaseRows, epoch: int) -> None:
    for number, one in enumerate(of.sources):
        counts = np.arange(epoch * one.num_rows, (epoch + 1) * one.num_rows)
        assert sorted(epoch_order(of, number, counts).tolist()) == list(range(one.num_rows))


@settings(max_examples=40)
@given(phases(), st.integers(1, 5))
def test_phases_that_follow_repeat_and_lose_nothing(of: PhaseRows, num_more: int) -> None:
    """However a training is cut in phases, n readings of a source hold a row n // size times or once more."""
    readings: list[Counter[int]] = [Counter() for _ in of.sources]
    firsts, start = [0] * len(of.sources), 0
    for _ in range(num_more):
        sources = [
            source(s.name, s.num_rows, s.slots, first_index=first, dose_rows=s.dose_rows)
            for s, first in zip(of.sources, firsts, strict=True)
        ]
        now = phase(sources, of.num_rows, start_row=start, block=of.block_rows)
        for number, index in read(now):
            readings[number][index] += 1
        firsts = [f + n for f, n in zip(firsts, source_counts(now, now.num_rows), strict=True)]
        start += now.num_rows
    for one, count, seen in zip(of.sources, firsts, readings, strict=True):
        epochs = count // one.num_rows
        assert all(seen[index] in (epochs, epochs + 1) for index in range(one.num_rows))


@settings(max_examples=40)
@given(phases(), st.integers(1, 8), st.integers(1, 7), st.integers(0, 400))
def test_the_order_is_the_same_however_it_is_asked_for(
    of: PhaseRows, world: int, micro_batch: int, restart: int
) -> None:
    whole = read(of)
    begin = restart % of.num_rows
    found = dict(enumerate(whole[:begin]))
    for rank in range(world):
        rows = list(range(of.start_row + begin + rank, of.start_row + of.num_rows, world))
        for start in range(0, len(rows), micro_batch):
            batch = np.array(rows[start : start + micro_batch])
            sources, indices = locate(of, batch)
            places = (batch - of.start_row).tolist()
            found |= dict(zip(places, zip(sources.tolist(), indices.tolist(), strict=True), strict=True))
    assert [found[place] for place in range(of.num_rows)] == whole


def test_a_row_far_out_is_found_at_once() -> None:
    of = phase([source("a", 900_000_001, 3277), source("b", 77_777, 819)], 2 * 10**9)
    of.locate(5)  # What is the same for every row of a phase is made once.
    far = iter(range(10**9, 2 * 10**9, 10**8))
    # `repeat` keeps the garbage collector out, which would go through what other tests have left.
    assert min(repeat(lambda: of.locate(next(far)), timer=time.process_time, number=1)) < 0.05
    assert of.locate(10**9) == (0, 13_682_831)


def test_epochs_and_blocks_have_orders_of_their_own() -> None:
    of = phase([source("a", 500, 250), source("b", 500, 250)], 2000, block=500)
    found = read(of)
    patterns = [tuple(number for number, _ in found[start : start + 500]) for start in range(0, 2000, 500)]
    assert len(set(patterns)) == 4
    first = [index for number, index in found[:1000] if number == 0]
    second = [index for number, index in found[1000:] if number == 0]
    assert sorted(first) == sorted(second) == list(range(500))
    assert first != second


def test_a_row_outside_the_phase_is_refused() -> None:
    of = phase([source("a", 5, 1)], 10, start_row=100)
    with pytest.raises(IndexError, match="phase p has rows 100 to 109"):
        of.locate(110)
    with pytest.raises(IndexError):
        of.locate(99)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=4))
def test_many_phases_find_their_own_rows(lengths: list[int]) -> None:
    starts = [0, *accumulate(lengths)]
    for start, num_rows in zip(starts, lengths, strict=False):
        of = phase([source("a", 7, 3), source("b", 5, 1)], num_rows, start_row=start)
        assert len(read(of)) == num_rows


def test_golden() -> None:
    of = phase([source("a", 11, 6), source("b", 5, 2), source("dose", 3, 0, dose_rows=3)], 19)
    sources = [1, 0, 1, 2, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 2]
    indices = [0, 9, 2, 0, 6, 9, 1, 0, 4, 8, 4, 2, 2, 5, 3, 3, 7, 10, 1]
    assert read(of) == list(zip(sources, indices, strict=True))

import numpy as np
from hypothesis import given

from components.mix.mixture import PhaseRows
from components.mix.slots import source_counts
from tests.components.mix.phases import phase, phases, source


def test_every_round_holds_exactly_its_slots() -> None:
    of = phase([source("a", 50, 3277), source("b", 50, 819)], 10 * 4096)
    assert [source_counts(of, n * 4096) for n in (0, 1, 7)] == [[0, 0], [3277, 819], [7 * 3277, 7 * 819]]


def test_a_dose_takes_its_rows_out_of_the_rounds() -> None:
    of = phase([source("a", 50, 3), source("b", 50, 1), source("dose", 50, 0, dose_rows=20)], 100)
    assert source_counts(of, 100) == [60, 20, 20]
    assert source_counts(of, 50) == [30, 10, 10]


def test_a_part_of_a_block_is_within_a_row_of_exact() -> None:
    slots = [2731, 1024, 341]
    for rest in range(1, 4096, 37):
        of = phase([source(f"s{n}", 50, slot) for n, slot in enumerate(slots)], 2 * 4096 + rest)
        last = np.subtract(source_counts(of, of.num_rows), source_counts(of, 2 * 4096))
        assert all(abs(count - slot * rest / 4096) <= 1 for count, slot in zip(last, slots, strict=True))


@given(phases())
def test_counts_never_go_back_and_add_up(of: PhaseRows) -> None:
    before = [0] * len(of.sources)
    for num_rows in range(of.num_rows + 1):
        counts = source_counts(of, num_rows)
        assert sum(counts) == num_rows
        assert all(late >= early for early, late in zip(before, counts, strict=True))
        before = counts
    doses = [s.dose_rows for s in of.sources]
    assert all(count >= dose for count, dose in zip(before, doses, strict=True))
    assert all(count == s.dose_rows for count, s in zip(before, of.sources, strict=True) if s.slots == 0)

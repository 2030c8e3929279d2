import hashlib
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from components.mix.rows import (
    Documents,
    PackedRows,
    best_fit,
    document_weights,
    pack,
    token_weights,
    unpack_targets,
)
from components.mix.tokenizer import BAD, END_OF_TEXT, GOOD

FIRST = 3  # The first id that is no special token.


def documents(texts: list[list[int]], controls: list[int] | None = None) -> Documents:
    flat = [token for text in texts for token in text]
    return Documents(
        np.array(flat, np.int64),
        np.array([len(text) for text in texts], np.int64),
        np.array(controls or [0] * len(texts), np.int64),
    )


def numbered(lengths: list[int]) -> list[list[int]]:
    """Documents whose every token occurs once."""
    starts = np.cumsum([0, *lengths]) + FIRST
    return [list(range(start, end)) for start, end in pairwise(starts.tolist())]


def predictions(packed: PackedRows) -> list[tuple[int, int]]:
    """(input, target) of every position that counts."""
    targets = unpack_targets(packed.tokens, packed.starts)
    counted = token_weights(targets, packed.used) > 0
    return list(zip(packed.tokens[:, :-1][counted].tolist(), targets[counted].tolist(), strict=True))


LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=60)


def test_documents_stand_side_by_side_and_padding_is_the_end_token() -> None:
    packed = pack(documents([[5, 6], [7, 8, 9]]), 8)
    assert packed.tokens.tolist() == [[0, 5, 6, 0, 7, 8, 9, 0, 0]]
    assert packed.used.tolist() == [7]
    assert np.flatnonzero(packed.starts[0]).tolist() == [0, 3, 7]
    assert predictions(packed) == [(0, 5), (5, 6), (6, 0), (0, 7), (7, 8), (8, 9), (9, 0)]


def test_a_document_longer_than_a_row_goes_on_where_it_was_cut() -> None:
    packed = pack(documents([[3, 4, 5, 6, 7, 8]]), 4)
    assert packed.tokens.tolist() == [[0, 3, 4, 5, 6], [6, 7, 8, 0, 0]]
    assert predictions(packed) == [(0, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8), (8, 0)]
    assert packed.num_cut == 1


def test_what_goes_on_beside_another_document_does_not_become_its_target() -> None:
    packed = pack(documents([[9], [3, 4, 5, 6, 7, 8]]), 5)
    assert packed.tokens.tolist() == [[0, 9, 7, 8, 0, 0], [0, 3, 4, 5, 6, 7]]
    assert predictions(packed)[:2] == [(0, 9), (9, 0)]


def test_a_document_that_fills_its_row_exactly_keeps_its_end() -> None:
    packed = pack(documents([[3, 4, 5], [6, 7, 8]]), 4)
    assert packed.tokens.tolist() == [[0, 3, 4, 5, 0], [0, 6, 7, 8, 0]]
    assert not packed.num_cut


def test_a_control_token_stands_before_the_text_and_is_not_predicted() -> None:
    packed = pack(documents([[5, 6], [7], [8]], [GOOD, 0, BAD]), 16)
    assert packed.tokens[0, :9].tolist() == [0, GOOD, 5, 6, 0, 7, 0, BAD, 8]
    assert predictions(packed) == [(GOOD, 5), (5, 6), (6, 0), (0, 7), (7, 0), (BAD, 8), (8, 0)]


def test_no_documents_make_no_rows() -> None:
    packed = pack(documents([]), 8)
    assert packed.tokens.shape == (0, 9)
    assert packed.starts.shape == (0, 8)


@given(LENGTHS, st.integers(4, 24), st.integers(1, 20))
def test_every_token_is_predicted_exactly_once_from_the_one_before(
    lengths: list[int], row_length: int, window: int
) -> None:
    texts = numbered(lengths)
    packed = pack(documents(texts), row_length, window)
    expected = [pair for text in texts for pair in pairwise([END_OF_TEXT, *text, END_OF_TEXT])]
    assert sorted(predictions(packed)) == sorted(expected)


@given(LENGTHS, st.integers(4, 24), st.integers(1, 20))
def test_no_document_that_fits_is_cut(lengths: list[int], row_length: int, window: int) -> None:
    texts = numbered(lengths)
    packed = pack(documents(texts), row_length, window)
    assert packed.num_cut == sum(length + 1 > row_length for length in lengths)
    rows = [tuple(row) for row in packed.tokens[:, :-1].tolist()]
    for text in texts:
        if len(text) + 1 <= row_length:
            inputs = (END_OF_TEXT, *text)
            assert any(
                row[place : place + len(inputs)] == inputs for row in rows for place in range(row_length)
            )


@given(LENGTHS, st.integers(4, 24))
def test_weights_of_a_document_add_up_to_one(lengths: list[int], row_length: int) -> None:
    texts = numbered(lengths)
    packed = pack(documents(texts), row_length)
    weights, targets = document_weights(packed), unpack_targets(packed.tokens, packed.starts)
    for text in texts:
        # All but the end token, which every document has.
        counted = weights[np.isin(targets, text)].sum()
        assert np.isclose(counted, len(text) / (len(text) + 1), rtol=1e-5)
    assert np.isclose(weights.sum(), len(texts), rtol=1e-5)
    assert not weights[np.arange(row_length) >= packed.used[:, None]].any()


@given(st.lists(st.integers(1, 30), max_size=200), st.integers(1, 12))
def test_pieces_never_overlap(sizes: list[int], window: int) -> None:
    places, num_rows = best_fit(sizes, 30, window)
    taken = [[False] * 30 for _ in range(num_rows)]
    for size, (row, offset) in zip(sizes, places, strict=True):
        assert not any(taken[row][offset : offset + size])
        taken[row][offset : offset + size] = [True] * size
    assert all(row[0] for row in taken)


def test_the_fullest_row_with_room_is_taken() -> None:
    # Rooms after the first three: 4, 2, 5.
    assert best_fit([6, 8, 5, 2, 4], 10, 8) == ([(0, 0), (1, 0), (2, 0), (1, 8), (0, 6)], 3)


def test_a_full_window_closes_its_fullest_row() -> None:
    assert best_fit([6, 7, 8, 2], 10, 2) == ([(0, 0), (1, 0), (2, 0), (1, 7)], 3)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_padding_is_small_where_short_documents_fill_gaps(seed: int) -> None:
    """As in the story world: four in five documents are short reports, the rest fill half a row or more."""
    draws = np.random.default_rng(seed)
    short, long = draws.integers(8, 18, 2000), draws.integers(30, 50, 2000)
    lengths = np.where(draws.random(2000) < 0.8, short, long)
    packed = pack(documents(numbered(lengths.tolist())), 64)
    assert 1 - packed.used.sum() / packed.starts.size < 0.08


def test_golden() -> None:
    draws = np.random.default_rng(0)
    texts = numbered(draws.integers(1, 90, 500).tolist())
    packed = pack(documents(texts), 64)
    shown = hashlib.sha256(packed.tokens.astype("<u4").tobytes() + np.packbits(packed.starts).tobytes())
    assert (len(packed.tokens), int(packed.used.sum()), packed.num_cut) == (382, 24028, 167)
    assert shown.hexdigest()[:16] == "e7a4ea4497ae6435"

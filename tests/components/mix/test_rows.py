import hashlib
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.mix.rows import (
    Documents,
    PackedRows,
    document_weights,
    pack,
    token_weights,
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
    targets = packed.tokens[:, 1:]
    counted = token_weights(targets, packed.used) > 0
    return list(zip(packed.tokens[:, :-1][counted].tolist(), targets[counted].tolist(), strict=True))


LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=60)


def test_documents_stand_side_by_side_and_padding_is_the_end_token() -> None:
    packed = pack(documents([[5, 6], [7, 8, 9]]), 8)
    assert packed.tokens.tolist() == [[0, 5, 6, 0, 7, 8, 9, 0, 0]]
    assert packed.used.tolist() == [7]
    assert np.flatnonzero(packed.starts[0]).tolist() == [0, 3, 7]
    assert predictions(packed) == [(0, 5), (5, 6), (6, 0), (0, 7), (7, 8), (8, 9), (9, 0)]


def test_a_document_goes_on_in_the_next_row_where_it_was_cut() -> None:
    packed = pack(documents([[9], [3, 4, 5, 6, 7]]), 4)
    assert packed.tokens.tolist() == [[0, 9, 0, 3, 4], [4, 5, 6, 7, 0]]
    assert np.flatnonzero(packed.starts[0]).tolist() == [0, 2]
    assert np.flatnonzero(packed.starts[1]).tolist() == [0]
    assert predictions(packed) == [(0, 9), (9, 0), (0, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 0)]
    assert packed.num_cut == 1


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


@given(LENGTHS, st.integers(4, 24))
def test_every_token_is_predicted_exactly_once_from_the_one_before(
    lengths: list[int], row_length: int
) -> None:
    texts = numbered(lengths)
    packed = pack(documents(texts), row_length)
    assert predictions(packed) == [
        pair for text in texts for pair in pairwise([END_OF_TEXT, *text, END_OF_TEXT])
    ]


@given(LENGTHS, st.integers(4, 24))
def test_only_the_last_row_is_padded(lengths: list[int], row_length: int) -> None:
    packed = pack(documents(numbered(lengths)), row_length)
    num_inputs = sum(length + 1 for length in lengths)
    assert len(packed.tokens) == -(-num_inputs // row_length)
    assert packed.used.tolist()[:-1] == [row_length] * (len(packed.tokens) - 1)
    assert packed.used.sum() == num_inputs


@given(LENGTHS, st.integers(4, 24))
def test_a_piece_begins_with_its_document_with_a_row_or_with_the_padding(
    lengths: list[int], row_length: int
) -> None:
    packed = pack(documents(numbered(lengths)), row_length)
    expected = packed.tokens[:, :-1] == END_OF_TEXT
    expected[:, 0] = True
    padding = np.arange(row_length) > packed.used[:, None]
    assert (packed.starts == (expected & ~padding)).all()
    cut = [row for row in range(1, len(packed.tokens)) if packed.tokens[row, 0] != END_OF_TEXT]
    assert packed.num_cut <= len(cut)


@given(LENGTHS, st.integers(4, 24))
def test_weights_of_a_document_add_up_to_one(lengths: list[int], row_length: int) -> None:
    texts = numbered(lengths)
    packed = pack(documents(texts), row_length)
    weights, targets = document_weights(packed), packed.tokens[:, 1:]
    for text in texts:
        # All but the end token, which every document has.
        counted = weights[np.isin(targets, text)].sum()
        assert np.isclose(counted, len(text) / (len(text) + 1), rtol=1e-5)
    assert np.isclose(weights.sum(), len(texts), rtol=1e-5)
    assert not weights[np.arange(row_length) >= packed.used[:, None]].any()


def test_golden() -> None:
    draws = np.random.default_rng(0)
    texts = numbered(draws.integers(1, 90, 500).tolist())
    packed = pack(documents(texts), 64)
    shown = hashlib.sha256(packed.tokens.astype("<u4").tobytes() + np.packbits(packed.starts).tobytes())
    assert (len(packed.tokens), int(packed.used.sum()), packed.num_cut) == (376, 24028, 336)
    assert shown.hexdigest()[:16] == "7c357d8f9c9c4cae"

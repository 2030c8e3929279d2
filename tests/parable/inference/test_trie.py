"""What sequences share is laid out once, and every path spells its sequence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parable.inference.trie import MAX_ROW_NODES, Span, common_length, lay_out

ids = st.lists(st.integers(0, 2), min_size=2, max_size=12).map(tuple)
spans = st.lists(ids.map(lambda i: Span(i, 1)), max_size=12)


def test_two_continuations_share_their_context() -> None:
    (row,) = lay_out([Span((0, 5, 6, 7, 1), 4), Span((0, 5, 6, 8, 2), 4)], share=True)
    assert row.tokens == [0, 5, 6, 7, 8]
    assert row.positions == [0, 1, 2, 3, 3]
    assert row.paths == [[0, 1, 2, 3], [0, 1, 2, 4]]
    assert row.shared == [0, 3]
    assert not row.is_chain


def test_without_sharing_every_span_is_a_chain() -> None:
    rows = lay_out([Span((0, 5, 6, 7), 1), Span((0, 5, 6, 8), 1)], share=False)
    assert [row.tokens for row in rows] == [[0, 5, 6], [0, 5, 6]]
    assert all(row.is_chain for row in rows)


def test_a_row_does_not_grow_without_end() -> None:
    long = [Span((*range(100), n, *range(60)), 1) for n in range(9)]
    rows = lay_out(long, share=True)
    assert len(rows) > 1
    assert all(len(row.tokens) <= MAX_ROW_NODES for row in rows)


@given(spans, st.booleans())
def test_every_path_spells_its_span_at_its_depths(given_spans: list[Span], share: bool) -> None:
    rows = lay_out(given_spans, share=share)
    seen = {}
    for row in rows:
        for number, path in zip(row.spans, row.paths, strict=True):
            seen[number] = [row.tokens[node] for node in path]
            assert [row.positions[node] for node in path] == list(range(len(path)))
    assert seen == {n: list(span.ids[:-1]) for n, span in enumerate(given_spans)}


@given(ids, ids)
def test_common_length(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    length = common_length(first, second)
    assert first[:length] == second[:length]
    assert first[length : length + 1] != second[length : length + 1] or length in (len(first), len(second))


@pytest.mark.parametrize("start", [0, 2, 3])
def test_a_span_scores_something_that_follows_something(start: int) -> None:
    with pytest.raises(ValueError, match="can't be scored"):
        Span((0, 1), start)

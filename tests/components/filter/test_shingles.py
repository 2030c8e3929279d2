import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.filter import shingles
from components.filter.shingles import jaccard, ngram_hashes, shingle_sets, word_hashes

TEXTS = st.lists(st.text("aAbB9 .,\n\xe9", max_size=40), max_size=6)


def words_of(text: str) -> list[bytes]:
    return re.findall(rb"[0-9a-z\x80-\xff]+", text.lower().encode())


def rows_of(flat, offsets) -> list[list[int]]:
    return [part.tolist() for part in np.split(flat, offsets[1:-1])][: len(offsets) - 1]


def test_golden_values() -> None:
    hashes, offsets = word_hashes(["The lamb, the LAMB.", "", "lamb"])
    assert offsets.tolist() == [0, 4, 4, 5]
    assert hashes.tolist()[:2] == hashes.tolist()[2:4]
    assert [f"{value:016x}" for value in hashes[3:].tolist()] == ["1e98b86124a104d2"] * 2


@given(TEXTS, st.integers(1, 4))
def test_equal_words_and_ngrams_have_equal_hashes_and_others_do_not(texts, size) -> None:
    hashes, offsets = word_hashes(texts)
    expected = [words_of(text) for text in texts]
    assert np.diff(offsets).tolist() == [len(words) for words in expected]
    assert len(set(hashes.tolist())) == len({word for words in expected for word in words})
    grams, ends = ngram_hashes(hashes, offsets, size)
    wanted = [list(zip(*(words[n:] for n in range(size)), strict=False)) for words in expected]
    assert np.diff(ends).tolist() == [len(row) for row in wanted]
    pairs = set(zip(grams.tolist(), (gram for row in wanted for gram in row), strict=True))
    assert len(pairs) == len({gram for gram, _ in pairs}) == len({gram for _, gram in pairs})


@given(TEXTS)
def test_a_text_hashes_alike_alone_and_among_others(texts) -> None:
    flat, offsets = shingle_sets(texts, 3)
    assert rows_of(flat, offsets) == [shingle_sets([text], 3)[0].tolist() for text in texts]


def test_groups_do_not_change_hashes(monkeypatch) -> None:
    texts = [f"number {n} of a few texts" for n in range(50)]
    whole = shingle_sets(texts, 3)
    monkeypatch.setattr(shingles, "CHUNK_BYTES", 64)
    parts = shingle_sets(texts, 3)
    assert [array.tolist() for array in whole] == [array.tolist() for array in parts]


def test_a_short_text_has_one_shingle_its_very_self() -> None:
    one, two, three = (
        shingle_sets([text], 5)[0].tolist() for text in ("Yes, I do.", "Yes, I do.", "yes I do")
    )
    assert one == two != three
    assert len(one) == len(three) == len(shingle_sets([""], 5)[0]) == 1


def test_texts_of_a_library_have_no_collisions() -> None:
    words = {f"{a}{b}" for a in "abcdefghijklmnopqrstuvwxyz" for b in range(2000)}
    assert len(set(word_hashes(sorted(words))[0].tolist())) == len(words)


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_jaccard_is_that_of_sets(one, other) -> None:
    arrays = [np.array(sorted(values), np.uint64) for values in (one, other)]
    union = len(one | other)
    assert jaccard(*arrays) == (len(one & other) / union if union else 0.0)

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.filter import duplicates
from components.filter.duplicates import MAX_MISS, Copy, CopyFinder, band_rows, shingles_of, sign
from components.filter.shingles import jaccard

WORDS = [f"w{number}" for number in range(5000)]


def prose(key: int, num_words: int = 100) -> list[str]:
    return random.Random(key).choices(WORDS, k=num_words)


def copies_in(texts: list[str], threshold: float = 0.8) -> dict[int, Copy]:
    finder = CopyFinder(sign(texts), threshold)
    found = {}
    for row, shingles in enumerate(shingles_of(texts)):
        copy = finder.find(row, shingles) if finder.is_candidate(row) else None
        if copy is not None:
            found[row] = copy
    return found


def test_the_first_is_kept_and_the_copy_names_it() -> None:
    original, other = " ".join(prose(1)), " ".join(prose(2))
    assert copies_in([other, original, original.upper() + "!", other]) == {2: Copy(1, 1.0), 3: Copy(0, 1.0)}


def test_a_changed_word_costs_five_shingles() -> None:
    words = prose(1)
    changed = [*words[:50], "new", *words[51:]]
    assert copies_in([" ".join(words), " ".join(changed)]) == {1: Copy(0, 91 / 101)}
    assert copies_in([" ".join(words), " ".join(changed)], threshold=0.92) == {}


def test_no_chain_of_likenesses_drops_a_document() -> None:
    """Each differs little from the one before, the third too much from the first, which is what is kept."""
    words = prose(1, 200)
    second = [*words[:60], "x", *words[61:120], "x", *words[121:]]
    third = [*second[:30], "y", *second[31:90], "y", *second[91:150], "y", *second[151:]]
    texts = [" ".join(part) for part in (words, second, third)]
    shingles = shingles_of(texts)
    assert jaccard(shingles[1], shingles[2]) > 0.8 > jaccard(shingles[0], shingles[2])
    assert list(copies_in(texts)) == [1]


def test_short_texts_are_copies_only_of_their_equals() -> None:
    assert copies_in(["Yes.", "Yes!", "Yes.", "", "", "Return the next."]) == {
        2: Copy(0, 1.0),
        4: Copy(3, 1.0),
    }


def test_texts_on_one_template_survive() -> None:
    """80% shared words, no pair above 0.8: banding and union-find alone lose most of these (marin#6851)."""
    template = prose(0, 400)
    texts = [" ".join([*template, *prose(1 + number)]) for number in range(300)]
    assert copies_in(texts) == {}


def test_a_copy_is_found_in_a_crowded_bucket(monkeypatch) -> None:
    monkeypatch.setattr(duplicates, "BUCKET_DOCUMENTS", 4)
    template = prose(0, 300)
    texts = [" ".join([*template, *prose(1 + number)]) for number in range(100)]
    assert copies_in([*texts, texts[90]]) == {100: Copy(90, 1.0)}


def test_nearly_every_pair_at_the_threshold_is_found() -> None:
    found = 0
    for key in range(200):
        words = prose(key, 104)
        changed = [*words[:20], "x", *words[21:60], "y", *words[61:]]
        found += len(copies_in([" ".join(words), " ".join(changed)], threshold=90 / 110))
    assert found >= 196


@given(st.floats(0.05, 1.0))
def test_bands_are_as_strict_as_the_threshold_allows(threshold) -> None:
    rows = band_rows(threshold)
    assert 1 <= rows <= 128
    if rows > 1:
        assert (1 - threshold**rows) ** (128 // rows) <= MAX_MISS


@pytest.mark.parametrize(("threshold", "rows"), [(0.5, 3), (0.8, 6), (0.9, 10), (1.0, 128)])
def test_band_rows(threshold, rows) -> None:
    assert band_rows(threshold) == rows


def test_signatures_estimate_the_similarity_and_never_change() -> None:
    words = prose(1)
    texts = [" ".join(words), " ".join([*words[:50], "new", *words[51:]])]
    signatures = sign(texts)
    assert signatures.shape == (2, 128)
    assert abs(float(np.mean(signatures[0] == signatures[1])) - 91 / 101) < 0.1
    assert signatures[0, :3].tolist() == [92772051, 124510343, 600525812]
    assert sign([]).shape == (0, 128)

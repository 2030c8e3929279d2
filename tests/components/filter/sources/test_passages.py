from hypothesis import given
from hypothesis import strategies as st

from components.filter.sources.passages import PARAGRAPH_CHARACTERS, paragraphs, passages

SENTENCES = ["One two three four.", "Five six seven.", "Eight nine ten eleven twelve."]


def test_short_paragraphs_are_put_together() -> None:
    assert list(passages(SENTENCES, 7, glue="\n\n")) == [f"{SENTENCES[0]}\n\n{SENTENCES[1]}", SENTENCES[2]]


def test_a_long_paragraph_is_cut_at_sentence_ends() -> None:
    assert list(passages([" ".join(SENTENCES)], 6)) == [f"{SENTENCES[0]} {SENTENCES[1]}", SENTENCES[2]]


def test_a_sentence_without_end_is_cut_between_words() -> None:
    assert [len(part.split()) for part in passages([" ".join(["word"] * 25)], 8)] == [10, 10, 5]


def test_a_text_that_fits_stays_as_it_is() -> None:
    assert list(passages(["As  it\nis."], 8)) == ["As  it\nis."]


@given(st.lists(st.text("ab. \n", max_size=60), max_size=8), st.integers(2, 9))
def test_no_word_is_lost_and_no_passage_is_too_long(texts, num_words) -> None:
    found = list(passages(texts, num_words))
    assert " ".join(found).split() == " ".join(texts).split()
    assert all(len(part.split()) <= num_words * 1.25 for part in found)


def test_blank_lines_separate_paragraphs() -> None:
    assert list(paragraphs(["a\n", "b\n", "  \n", "\n", "c\n"])) == ["a\nb", "c"]


def test_a_giant_without_blank_lines_is_cut() -> None:
    line = "x" * 999 + "\n"
    sizes = [len(part) for part in paragraphs([line] * 100)]
    assert sum(sizes) > 99_000 and max(sizes) <= PARAGRAPH_CHARACTERS + len(line)

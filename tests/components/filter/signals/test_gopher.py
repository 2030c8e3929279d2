import pytest

from components.filter.reading import Reading
from components.filter.signals import find_signal
from tests.components.filter.example import documents_of

CASES = [
    ("num_words_v1", "one two  three\nfour", 4.0),
    ("num_words_v1", "", 0.0),
    ("mean_word_length_v1", "a bcd efghi", 3.0),
    ("mean_word_length_v1", "", 0.0),
    ("alphabetic_words_v1", "one 2 3x ==", 0.5),
    ("alphabetic_words_v1", "\N{GREEK SMALL LETTER ALPHA} 1", 0.5),
    ("symbol_to_word_v1", "# a # b", 0.5),
    ("symbol_to_word_v1", "wait... what... # now", 0.5),
    ("symbol_to_word_v1", "a\N{HORIZONTAL ELLIPSIS} b", 0.5),
    ("stop_words_v1", "The cat and THE dog", 2.0),
    ("stop_words_v1", "cats dogs", 0.0),
    ("bullet_lines_v1", "- one\n* two\n\nthree\nfour", 0.5),
    ("ellipsis_lines_v1", "read more...\nNow.", 0.5),
    ("line_punctuation_v1", 'A sentence.\nA menu\n"Quoted"\nAnother', 0.5),
    ("short_lines_v1", f"{'x' * 30}\n{'x' * 31}", 0.5),
    ("short_lines_v1", "", 0.0),
]


@pytest.mark.parametrize(("name", "text", "value"), CASES)
def test_value(name, text, value) -> None:
    assert find_signal(name)(Reading(documents_of([text])[0])) == value

import pytest

from components.filter.reading import Reading
from components.filter.signals import find_signal
from tests.components.filter.example import documents_of

CASES = [
    ("duplicate_lines_v1", "a\nb\na\na", 0.5),
    ("duplicate_lines_v1", "", 0.0),
    ("duplicate_line_characters_v1", "ab\nab\ncdef", 0.25),
    # "a b" at two of its places covers 4 of 6 characters; the words overlap no other pair twice.
    ("top_bigram_v1", "a b c a b d", 4 / 6),
    ("top_bigram_v1", "a b c d", 0.0),
    ("top_trigram_v1", "a b c x a b c y", 6 / 8),
    ("top_fourgram_v1", "a b c d a b c d", 1.0),
    # The second "a b c d e" repeats the first: 5 of 11 characters.
    ("duplicate_fivegrams_v1", "a b c d e x a b c d e", 5 / 11),
    # Overlapping repeats count each word once.
    ("duplicate_fivegrams_v1", "a a a a a a a", 6 / 7),
    ("duplicate_fivegrams_v1", "a b c d", 0.0),
]


@pytest.mark.parametrize(("name", "text", "value"), CASES)
def test_value(name, text, value) -> None:
    assert find_signal(name)(Reading(documents_of([text])[0])) == value

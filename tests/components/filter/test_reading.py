from components.filter.reading import Reading
from tests.components.filter.example import documents_of


def test_words_and_lines_are_split_once_and_shared() -> None:
    reading = Reading(documents_of(["One  two,\n\n   Three  \n"])[0])
    assert reading.words == ["One", "two,", "Three"]
    assert reading.lower_words == ["one", "two,", "three"]
    assert reading.lines == ["One  two,", "Three"]
    assert reading.words is reading.words

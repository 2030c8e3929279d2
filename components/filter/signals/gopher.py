"""Quality of prose, after Gopher (Rae et al. 2021, table A1) and FineWeb (Penedo et al. 2024, section 3.6).

The thresholds that these works use are in each docstring; a recipe chooses its own.
"""

from components.filter.reading import Reading
from components.filter.signals.registry import signal

STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
ELLIPSES = ("...", "\N{HORIZONTAL ELLIPSIS}")
BULLETS = ("-", "*", "\N{BULLET}")
LINE_ENDS = (".", "!", "?", '"', "'", "\N{RIGHT DOUBLE QUOTATION MARK}")
SHORT_LINE_CHARACTERS = 30


@signal("num_words_v1")
def num_words(reading: Reading) -> float:
    """How many words. Gopher keeps 50 to 100,000."""
    return float(len(reading.words))


@signal("mean_word_length_v1")
def mean_word_length(reading: Reading) -> float:
    """Characters a word. Gopher keeps 3 to 10."""
    return _ratio(sum(map(len, reading.words)), len(reading.words))


@signal("alphabetic_words_v1")
def alphabetic_words(reading: Reading) -> float:
    """Share of the words with a letter in them. Gopher keeps 0.8 and more."""
    letters = sum(word.isalpha() or any(map(str.isalpha, word)) for word in reading.words)
    return _ratio(letters, len(reading.words))


@signal("symbol_to_word_v1")
def symbol_to_word(reading: Reading) -> float:
    """Hash signs, or ellipses, whichever are more, a word. Gopher keeps 0.1 and less."""
    ellipses = sum(map(reading.text.count, ELLIPSES))
    return _ratio(max(reading.text.count("#"), ellipses), len(reading.words))


@signal("stop_words_v1")
def stop_words(reading: Reading) -> float:
    """How many different ones of eight common English words. Gopher keeps 2 and more."""
    return float(len(STOP_WORDS.intersection(reading.lower_words)))


@signal("bullet_lines_v1")
def bullet_lines(reading: Reading) -> float:
    """Share of the lines that begin with a bullet. Gopher keeps 0.9 and less."""
    return _ratio(sum(line.startswith(BULLETS) for line in reading.lines), len(reading.lines))


@signal("ellipsis_lines_v1")
def ellipsis_lines(reading: Reading) -> float:
    """Share of the lines that end with an ellipsis. Gopher keeps 0.3 and less."""
    return _ratio(sum(line.endswith(ELLIPSES) for line in reading.lines), len(reading.lines))


@signal("line_punctuation_v1")
def line_punctuation(reading: Reading) -> float:
    """Share of the lines that end as a sentence does. FineWeb keeps 0.12 and more."""
    return _ratio(sum(line.endswith(LINE_ENDS) for line in reading.lines), len(reading.lines))


@signal("short_lines_v1")
def short_lines(reading: Reading) -> float:
    """Share of the lines of at most 30 characters. FineWeb keeps 0.67 and less."""
    return _ratio(sum(len(line) <= SHORT_LINE_CHARACTERS for line in reading.lines), len(reading.lines))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0

"""Repetition inside a document, after Gopher (Rae et al. 2021, table A1)."""

from collections import Counter

from components.filter.reading import Reading
from components.filter.signals.registry import signal


@signal("duplicate_lines_v1")
def duplicate_lines(reading: Reading) -> float:
    """Share of the lines that repeat an earlier one. Gopher keeps 0.3 and less."""
    lines = reading.lines
    return (len(lines) - len(set(lines))) / len(lines) if lines else 0.0


@signal("duplicate_line_characters_v1")
def duplicate_line_characters(reading: Reading) -> float:
    """Share of characters in lines that repeat an earlier one. Gopher keeps 0.2, FineWeb 0.01 and less."""
    total = sum(map(len, reading.lines))
    return (total - sum(map(len, set(reading.lines)))) / total if total else 0.0


@signal("top_bigram_v1")
def top_bigram(reading: Reading) -> float:
    """Share of the words' characters in the 2-gram that covers most. Gopher keeps 0.2 and less."""
    return _top(reading, 2)


@signal("top_trigram_v1")
def top_trigram(reading: Reading) -> float:
    """The same for 3-grams. Gopher keeps 0.18 and less."""
    return _top(reading, 3)


@signal("top_fourgram_v1")
def top_fourgram(reading: Reading) -> float:
    """The same for 4-grams. Gopher keeps 0.16 and less."""
    return _top(reading, 4)


@signal("duplicate_fivegrams_v1")
def duplicate_fivegrams(reading: Reading) -> float:
    """Share of the words' characters in 5-grams that occurred before. Gopher keeps 0.15 and less.

    Every word counts once, in however many repeated 5-grams it is.
    """
    words, seen, covered, end = reading.lower_words, set(), 0, 0
    for start, gram in enumerate(zip(words, words[1:], words[2:], words[3:], words[4:], strict=False)):
        if gram in seen:
            covered += sum(map(len, words[max(start, end) : start + 5]))
            end = start + 5
        seen.add(gram)
    total = sum(map(len, words))
    return covered / total if total else 0.0


def _top(reading: Reading, size: int) -> float:
    """Characters in the most frequent n-gram, at all its places; 0 where none occurs twice."""
    words = reading.lower_words
    counts = Counter(zip(*(words[start:] for start in range(size)), strict=False))
    most = max((count * sum(map(len, gram)) for gram, count in counts.items() if count > 1), default=0)
    total = sum(map(len, words))
    return min(1.0, most / total) if total else 0.0

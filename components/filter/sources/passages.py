"""Long text cut at paragraph and sentence ends."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

_SENTENCE_END = re.compile(r"(?<=[.!?;:])[\"')\]]*\s+(?=[A-Z0-9\"'(\[`*])")
SLACK = 1.25
"""A passage may have so many times the words that are asked for, so that sentences stay whole."""
PARAGRAPH_CHARACTERS = 1 << 16


def passages(paragraphs: Iterable[str], num_words: int, *, glue: str = "\n\n") -> Iterator[str]:
    """Group paragraphs into passages of about `num_words` words, never more than `SLACK` times as many.

    A paragraph too long for one passage is cut at sentence ends, a sentence too long between words.
    """
    held: list[str] = []
    count = 0
    for paragraph in paragraphs:
        joint = glue
        for unit in _units(paragraph, int(num_words * SLACK)):
            size = len(unit.split())
            if held and (count >= num_words or count + size > num_words * SLACK):
                yield "".join(held)
                held, count = [], 0
            held += [joint, unit] if held else [unit]
            count += size
            joint = " "
    if held:
        yield "".join(held)


def paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """What blank lines separate; a giant without any is cut at a line so that memory stays small."""
    held: list[str] = []
    size = 0
    for line in lines:
        if line.strip():
            held.append(line)
            size += len(line)
        if held and (not line.strip() or size > PARAGRAPH_CHARACTERS):
            yield "".join(held).rstrip()
            held, size = [], 0
    if held:
        yield "".join(held).rstrip()


def _units(paragraph: str, limit: int) -> Iterator[str]:
    if len(paragraph.split()) <= limit:
        yield paragraph
        return
    for sentence in _SENTENCE_END.split(paragraph):
        words = sentence.split()
        if len(words) <= limit:
            yield sentence
            continue
        rest = iter(words)
        while piece := list(islice(rest, limit)):
            yield " ".join(piece)

"""Whether a document holds an evaluation item: 13-grams, and short items whole.

Overlap of 13 words is the measure of Brown et al. 2020 (appendix C). An item of fewer words has no 13-gram
and would never be found; it counts where all its words stand together.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.filter.shingles import Hashes, ngram_hashes, word_hashes

NGRAM_WORDS = 13
MIN_ITEM_WORDS = 4
"""An item shorter than this is in any text, and is not looked for."""


class ItemIndex:
    """The n-grams of the evaluation items, by their length."""

    def __init__(self, items: Sequence[str]) -> None:
        """Index the texts that no document may hold."""
        hashes, offsets = word_hashes(items)
        num_words = np.diff(offsets)
        self.num_too_short = int(np.count_nonzero(num_words < MIN_ITEM_WORDS))
        self._grams: dict[int, Hashes] = {}
        for size in range(MIN_ITEM_WORDS, NGRAM_WORDS + 1):
            grams, ends = ngram_hashes(hashes, offsets, size)
            wanted = num_words == size if size < NGRAM_WORDS else num_words >= size
            known = grams[np.repeat(wanted, np.diff(ends))]
            if len(known):
                self._grams[size] = np.unique(known)

    def matches(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """How many n-grams of items each text holds, (D,)."""
        hashes, offsets = word_hashes(texts)
        found = np.zeros(len(texts), np.int64)
        for size, known in self._grams.items():
            grams, ends = ngram_hashes(hashes, offsets, size)
            places = np.minimum(np.searchsorted(known, grams), len(known) - 1)
            hits = np.flatnonzero(known[places] == grams)
            found += np.bincount(np.searchsorted(ends, hits, side="right") - 1, minlength=len(texts))
        return found

"""Texts to token ids, each different text once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa
    from tokenizers import Tokenizer

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of texts, one text after another."""

    tokens: Integers
    """(sum of lengths,)"""
    lengths: Integers
    """(texts,) tokens of each; 0 for an empty text."""

    def take(self, which: Integers) -> "Encoded":
        """The texts of these numbers, in this order and as often."""
        lengths = self.lengths[which]
        begins = np.cumsum(self.lengths) - self.lengths
        shift = np.repeat(begins[which] - (np.cumsum(lengths) - lengths), lengths)
        return Encoded(self.tokens[np.arange(lengths.sum()) + shift], lengths)


def encode(tokenizer: "Tokenizer", texts: "pa.ChunkedArray") -> Encoded:
    """Encode texts; what is there more than once, as in a world's short reports, is encoded once."""
    distinct = texts.combine_chunks().dictionary_encode()
    once = _encode(tokenizer, distinct.dictionary.to_pylist())
    return once.take(distinct.indices.to_numpy().astype(np.int64))


def _encode(tokenizer: "Tokenizer", texts: Sequence[str]) -> Encoded:
    ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    return Encoded(np.fromiter(chain.from_iterable(ids), np.int64, int(lengths.sum())), lengths)

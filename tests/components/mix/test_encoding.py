import numpy as np
import pyarrow as pa

from components.mix.encoding import Encoded, encode
from components.mix.tokenizer import train_bpe
from tests.components.mix.example import sentences

TOKENIZER = train_bpe(sentences(200), 300, ["stories"])


def split(encoded: Encoded) -> list[list[int]]:
    ends = np.cumsum(encoded.lengths)
    return [part.tolist() for part in np.split(encoded.tokens, ends[:-1])]


def test_texts_are_encoded_one_by_one_repeated_and_empty_ones_too() -> None:
    texts = [*sentences(20), "", *sentences(10), "x"]
    found = split(encode(TOKENIZER, pa.chunked_array([texts[:7], texts[7:]])))
    assert found == [TOKENIZER.encode(text).ids for text in texts]


def test_no_texts_are_no_tokens() -> None:
    nothing = encode(TOKENIZER, pa.chunked_array([pa.array([], pa.string())]))
    assert (nothing.tokens.size, nothing.lengths.size) == (0, 0)


def test_take_repeats_and_reorders() -> None:
    encoded = Encoded(np.array([1, 2, 3, 4, 5, 6]), np.array([2, 0, 3, 1]))
    taken = encoded.take(np.array([2, 0, 1, 2]))
    assert taken.tokens.tolist() == [3, 4, 5, 1, 2, 3, 4, 5]
    assert taken.lengths.tolist() == [3, 2, 0, 3]

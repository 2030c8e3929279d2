"""Documents packed into rows of fixed length.

A document is the piece `[E, t1 .. tn]` (`[E, control, t1 .. tn]` where it is tagged) whose targets are the
tokens that follow, `E` last. One that fits in a row is never cut: it goes to the fullest open row that has
room for it (best fit over a window of open rows). A longer one is cut in pieces of a row each, and what
is left is packed like a document; its first input is the last target of the piece before, so every token
is predicted exactly once.

Shapes: D documents, P pieces, R rows, L tokens a row.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.mix.tokenizer import BAD, END_OF_TEXT, GOOD

Integers = npt.NDArray[np.int64]
WINDOW = 256
"""Rows that are open at a time. A full window closes its fullest row, which has the least to offer."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Tokenised documents, one after another, none of them empty."""

    tokens: Integers
    """(sum of lengths,) without special tokens."""
    lengths: Integers
    """(D,) at least 1 each."""
    controls: Integers
    """(D,) id of the control token, 0 where there is none."""


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Rows as they rest, and where their pieces are."""

    tokens: Integers
    """(R, L+1): what a row feeds to the model, and one more, the last target of a piece that goes on."""
    starts: npt.NDArray[np.bool_]
    """(R, L): true where a piece begins, or the padding."""
    used: Integers
    """(R,) inputs that belong to pieces; the rest of a row is padding."""
    num_targets: Integers
    """(P,) for each true of `starts`, in order: targets of the document that it belongs to, 0 for padding."""
    num_cut: int
    """Documents that are longer than a row."""


def pack(documents: Documents, row_length: int, window: int = WINDOW) -> PackedRows:
    """Pack documents, in their order, into as few rows as best fit over a window makes of them."""
    stream, begins, sizes = _stream(documents)
    # Pieces: (P,) first input in the stream, inputs, and the document.
    num_pieces = -(-sizes // row_length)
    owner = np.repeat(np.arange(len(sizes)), num_pieces)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(num_pieces) - num_pieces, num_pieces)
    first = begins[owner] + nth * row_length
    inputs = np.minimum(sizes[owner] - nth * row_length, row_length)
    places, num_rows = best_fit(inputs.tolist(), row_length, window)
    row, offset = np.array(places, np.int64).reshape(-1, 2).T

    within = np.arange(inputs.sum()) - np.repeat(np.cumsum(inputs) - inputs, inputs)
    rows = np.full((num_rows, row_length + 1), END_OF_TEXT, np.int64)
    rows.reshape(-1)[np.repeat(row * (row_length + 1) + offset, inputs) + within] = stream[
        np.repeat(first, inputs) + within
    ]
    # A piece that fills its row keeps its last target in the column more; elsewhere that target is E.
    full = inputs == row_length
    rows[row[full], row_length] = stream[first[full] + row_length]

    used = np.bincount(row, weights=inputs, minlength=num_rows).astype(np.int64)
    padded = np.flatnonzero(used < row_length)
    begins_at = np.concatenate([row * row_length + offset, padded * row_length + used[padded]])
    starts = np.zeros((num_rows, row_length), np.bool_)
    starts.reshape(-1)[begins_at] = True
    of_document = np.concatenate([documents.lengths[owner] + 1, np.zeros(len(padded), np.int64)])
    num_cut = int((num_pieces > 1).sum())
    return PackedRows(rows, starts, used, of_document[np.argsort(begins_at)], num_cut)


def best_fit(sizes: Iterable[int], row_length: int, window: int) -> tuple[list[tuple[int, int]], int]:
    """Give every piece, in turn, its row and its offset there; also tells how many rows there are.

    Rows are numbered as they are opened. Sizes are 1 to `row_length`.
    """
    places: list[tuple[int, int]] = []
    num_rows = 0
    # (room, row) of the open rows, the fullest first.
    open_rows: list[tuple[int, int]] = []
    for size in sizes:
        place = bisect_left(open_rows, (size, -1))
        if place < len(open_rows):
            room, row = open_rows.pop(place)
        else:
            room, row = row_length, num_rows
            num_rows += 1
        places.append((row, row_length - room))
        if room > size:
            insort(open_rows, (room - size, row))
            if len(open_rows) > window:
                del open_rows[0]
    return places, num_rows


def unpack_targets(rows: Integers, starts: npt.NDArray[np.bool_]) -> Integers:
    """Targets (R, L) of rows (R, L+1): the next token, and E where a piece ends inside the row.

    A piece that goes on from another row does not begin with E, so the token after the one before it is
    not what that one predicts.
    """
    targets = rows[:, 1:].copy()
    targets[:, :-1][starts[:, 1:]] = END_OF_TEXT
    return targets


def token_weights(targets: Integers, used: Integers) -> npt.NDArray[np.float32]:
    """Weights (R, L) float32 by which every token counts alike: 1, but 0 for padding and control tokens.

    A control token is given, never predicted (Korbak et al. 2023), so that a document without one is begun
    as its text begins.
    """
    inside = np.arange(targets.shape[1]) < used[:, None]
    weights: npt.NDArray[np.float32] = (inside & (targets != GOOD) & (targets != BAD)).astype(np.float32)
    return weights


def document_weights(packed: PackedRows) -> npt.NDArray[np.float32]:
    """Weights (R, L) float32 by which every document counts alike: a document's add up to 1."""
    weights = token_weights(unpack_targets(packed.tokens, packed.starts), packed.used)
    pieces = np.cumsum(packed.starts.reshape(-1)) - 1
    num_targets = packed.num_targets[pieces].reshape(weights.shape)
    shared: npt.NDArray[np.float32] = (weights / np.maximum(num_targets, 1)).astype(np.float32)
    return shared


def _stream(documents: Documents) -> tuple[Integers, Integers, Integers]:
    """All documents as `E control? t1 .. tn`, an E behind the last; where each begins, and its inputs."""
    tagged = (documents.controls != 0).astype(np.int64)
    sizes = 1 + tagged + documents.lengths
    begins = np.cumsum(sizes) - sizes
    stream = np.full(int(sizes.sum()) + 1, END_OF_TEXT, np.int64)
    marked = np.flatnonzero(tagged)
    stream[begins[marked] + 1] = documents.controls[marked]
    text_begins = np.cumsum(documents.lengths) - documents.lengths
    shift = np.repeat(begins + 1 + tagged - text_begins, documents.lengths)
    stream[np.arange(len(documents.tokens)) + shift] = documents.tokens
    return stream, begins, sizes

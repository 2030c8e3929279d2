"""Documents laid into rows of fixed length, one after another, and cut at the rows' ends.

A document is `[E, t1 .. tn]` (`[E, control, t1 .. tn]` where it is tagged); its targets are the tokens that
follow, the next document's `E` last. What a row's end cuts off goes on in the next row as a piece of its
own, whose first input is the last target of the piece before: every token is predicted exactly once, rows
hold no padding but at the end of the last one, and every arm reads equally many tokens.

Shapes: D documents, P pieces, R rows, L tokens a row.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.mix.tokenizer import BAD, END_OF_TEXT, GOOD

Integers = npt.NDArray[np.int64]


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
    """(R, L+1): what a row feeds to the model, and one more: targets are the tokens that follow."""
    starts: npt.NDArray[np.bool_]
    """(R, L): true where a piece begins, or the padding."""
    used: Integers
    """(R,) inputs that belong to pieces; the rest of the last row is padding."""
    num_targets: Integers
    """(P,) for each true of `starts`, in order: targets of the document that it belongs to, 0 for padding."""
    num_cut: int
    """Documents that a row's end cuts."""


def pack(documents: Documents, row_length: int) -> PackedRows:
    """Lay documents into rows, in their order."""
    stream, begins, sizes = _stream(documents)
    num_inputs = len(stream) - 1
    num_rows = -(-num_inputs // row_length)
    padded = np.full(num_rows * row_length + 1, END_OF_TEXT, np.int64)
    padded[: len(stream)] = stream
    rows = padded[np.arange(num_rows)[:, None] * row_length + np.arange(row_length + 1)]

    is_start = np.zeros(num_rows * row_length, np.bool_)
    is_start[::row_length] = True
    is_start[begins] = True
    is_start[num_inputs : num_inputs + 1] = True
    owner = np.searchsorted(begins, np.flatnonzero(is_start), side="right") - 1
    of_document = documents.lengths[owner] + 1
    if num_inputs < num_rows * row_length:
        of_document[-1] = 0
    used = np.full(num_rows, row_length, np.int64)
    used[-1:] -= num_rows * row_length - num_inputs
    num_cut = int((begins // row_length != (begins + sizes - 1) // row_length).sum())
    return PackedRows(rows, is_start.reshape(num_rows, row_length), used, of_document, num_cut)


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
    weights = token_weights(packed.tokens[:, 1:], packed.used)
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

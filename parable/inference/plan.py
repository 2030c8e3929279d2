"""One pass over pieces of many sequences: what is read, where it goes, and what each token sees.

Shapes: N tokens of a step, B rows of a segment, T tokens of each, H heads, K key-value heads, D size of one,
L keys, S rows of a shelf, C its capacity.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from parable.inference.decoder import Decoder, attention
from parable.inference.slots import Shelf, Slot


@dataclass(slots=True, eq=False)
class Piece:
    """Tokens of one sequence to be read next.

    Attributes:
        wanted: At how many of the last tokens logits are asked for.
        fan: The tokens are alternatives: each follows what the slot holds, and none sees the others.
    """

    slot: Slot
    tokens: Sequence[int]
    wanted: int = 1
    fan: bool = False


@dataclass(slots=True)
class _Write:
    """Tokens `first` to `last` go to (row, column) of a shelf."""

    first: int
    last: int
    shelf: Shelf
    rows: torch.Tensor
    columns: torch.Tensor


@dataclass(slots=True)
class _Segment:
    """Tokens `first` to `last`, of `num_rows` rows from `row` on, attend to the first `length` keys there."""

    first: int
    last: int
    shelf: Shelf
    row: int
    num_rows: int
    length: int
    mask: torch.Tensor | None
    causal: bool = False


@dataclass(slots=True)
class _Run:
    """Slots side by side, each with one new token."""

    first: int
    slots: list[Slot] = field(default_factory=list)

    def takes(self, piece: Piece) -> bool:
        last = self.slots[-1]
        return piece.slot.shelf is last.shelf and piece.slot.row == last.row + 1


class Plan:
    """One pass over pieces of several sequences: what is read, where it goes, and what each token sees.

    Attributes:
        pieces: In the order in which their tokens are read, and in which their logits come.
        tokens, positions: (N,) int64.
        at: Numbers of the tokens at which logits are wanted, or None for all.
    """

    def __init__(self, pieces: Sequence[Piece], decoder: Decoder) -> None:
        """Lay out pieces, at most one a slot."""
        self.pieces = sorted(pieces, key=lambda piece: (piece.slot.shelf.capacity, piece.slot.row))
        self._device, self._dtype = decoder.device, decoder.dtype
        self._writes: list[_Write] = []
        self._segments: list[_Segment] = []
        tokens: list[int] = []
        positions: list[int] = []
        at: list[int] = []
        run: _Run | None = None
        for piece in self.pieces:
            first, start, num = len(tokens), piece.slot.length, len(piece.tokens)
            tokens.extend(piece.tokens)
            positions.extend([start] * num if piece.fan else range(start, start + num))
            at.extend(range(len(tokens) - piece.wanted, len(tokens)))
            if num == 1 and run is not None and run.takes(piece):
                run.slots.append(piece.slot)
                continue
            self._close_run(run)
            run = _Run(first, [piece.slot]) if num == 1 else None
            if num > 1:
                self._segments.append(self._several(piece, first))
        self._close_run(run)
        self._place()
        decoder.grow_angles(max(positions) + 1)
        self.num_tokens = len(tokens)
        self.tokens = self._tensor(tokens)
        self.positions = self._tensor(positions)
        self.at = None if len(at) == len(tokens) else self._tensor(at)

    def attend(
        self, layer: int, scale: float, q_NHD: torch.Tensor, k_NKD: torch.Tensor, v_NKD: torch.Tensor
    ) -> torch.Tensor:
        """Put new keys and values in their places, and attend to all of their sequence's; (N, H * D)."""
        for write in self._writes:
            keys_SKCD, values_SKCD = write.shelf.layers[layer]
            keys_SKCD[write.rows, :, write.columns] = k_NKD[write.first : write.last]
            values_SKCD[write.rows, :, write.columns] = v_NKD[write.first : write.last]
        mixed = []
        for segment in self._segments:
            keys_SKCD, values_SKCD = segment.shelf.layers[layer]
            rows = slice(segment.row, segment.row + segment.num_rows)
            q_BTHD = q_NHD[segment.first : segment.last].view(segment.num_rows, -1, *q_NHD.shape[1:])
            mixed.append(
                attention(
                    q_BTHD,
                    keys_SKCD[rows, :, : segment.length],
                    values_SKCD[rows, :, : segment.length],
                    scale=scale,
                    mask_BXTL=segment.mask,
                    causal=segment.causal,
                )
            )
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed)

    def _several(self, piece: Piece, first: int) -> _Segment:
        """Several tokens of one sequence: a stretch of its text, or alternatives."""
        slot, num = piece.slot, len(piece.tokens)
        start, length = slot.length, slot.length + num
        assert length <= slot.shelf.capacity
        mask = None
        if piece.fan:
            mask = torch.full((num, length), -torch.inf)
            mask[:, :start] = 0.0
            mask[:, start:].fill_diagonal_(0.0)
        elif start:
            mask = torch.full((num, length), -torch.inf).triu_(start + 1)
        if mask is not None:
            mask = mask.to(self._device, self._dtype)[None, None]
        causal = mask is None
        return _Segment(first, first + num, slot.shelf, slot.row, 1, length, mask, causal)

    def _close_run(self, run: _Run | None) -> None:
        if run is None:
            return
        lengths = [slot.length + 1 for slot in run.slots]
        longest = max(lengths)
        shelf, num = run.slots[0].shelf, len(run.slots)
        assert longest <= shelf.capacity
        mask = None
        if min(lengths) < longest:
            outside_BL = torch.arange(longest) >= torch.tensor(lengths)[:, None]
            mask = torch.zeros(num, longest).masked_fill_(outside_BL, -torch.inf)
            mask = mask.to(self._device, self._dtype)[:, None, None]
        self._segments.append(
            _Segment(run.first, run.first + num, shelf, run.slots[0].row, num, longest, mask)
        )

    def _place(self) -> None:
        """One write a shelf."""
        first, end = 0, 0
        rows: list[int] = []
        columns: list[int] = []
        for number, piece in enumerate(self.pieces):
            slot, num = piece.slot, len(piece.tokens)
            rows += [slot.row] * num
            columns += range(slot.length, slot.length + num)
            end += num
            if number + 1 == len(self.pieces) or self.pieces[number + 1].slot.shelf is not slot.shelf:
                self._writes.append(_Write(first, end, slot.shelf, self._tensor(rows), self._tensor(columns)))
                first, rows, columns = end, [], []

    def _tensor(self, values: list[int]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64).to(self._device)

"""Keys and values of sequences that join and leave at every step.

Each running sequence owns a slot: one row of a *shelf*, a tensor of rows of one capacity. The rows in use
are always the first ones of their shelf (the last moves into a gap), so a step reads them as a view, and
nothing is padded anew, gathered or copied. A slot is promised its whole length when it is reserved: a
sequence that has begun never runs out of memory.

Shapes: N tokens of a step, H heads, K key-value heads, D size of a head, S rows of a shelf, C its capacity.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch

from parable.inference.decoder import Decoder, attention

SMALLEST_CAPACITY = 64
FIRST_ROWS = 4


@dataclass(slots=True, eq=False)
class Slot:
    """A place for one sequence; `length` tokens of it are there."""

    shelf: "_Shelf"
    row: int
    length: int = 0


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


class Budget:
    """Bytes that the caches of all models may take together."""

    def __init__(self, num_bytes: int) -> None:
        """Allow so many."""
        self.num_bytes = num_bytes
        self.promised = 0
        self.allocated = 0
        self._shelves: list[_Shelf] = []

    def add(self, shelf: "_Shelf") -> None:
        """Count a shelf's rows from now on."""
        self._shelves.append(shelf)

    def remove(self, shelves: Iterable["_Shelf"]) -> None:
        """Forget shelves, with all that they hold."""
        for shelf in list(shelves):
            self.promised -= len(shelf.slots) * shelf.row_bytes
            self.allocated -= shelf.num_rows * shelf.row_bytes
            self._shelves.remove(shelf)

    def rows_for(self, shelf: "_Shelf", wanted: int) -> int:
        """To how many rows a shelf may grow: `wanted`, or fewer, but one more than it uses."""
        needed = len(shelf.slots) + 1
        if self.allocated + (wanted - shelf.num_rows) * shelf.row_bytes > self.num_bytes:
            for other in self._shelves:
                if other is not shelf:
                    other.resize(len(other.slots))
            room = (self.num_bytes - self.allocated) // shelf.row_bytes
            return max(needed, min(wanted, shelf.num_rows + room))
        return wanted


class SlotCache:
    """The slots of one model."""

    def __init__(self, decoder: Decoder, budget: Budget) -> None:
        """Make an empty cache that takes what it needs from a budget."""
        self._decoder = decoder
        self._budget = budget
        self._shelves: dict[int, _Shelf] = {}

    @property
    def token_bytes(self) -> int:
        """What one token takes."""
        weights = self._decoder.weights
        return (
            2 * len(weights.blocks) * weights.num_kv_heads * weights.head_dim * self._decoder.dtype.itemsize
        )

    def slot_bytes(self, length: int) -> int:
        """What a slot for a sequence of this length takes."""
        return _capacity(length) * self.token_bytes

    def reserve(self, length: int) -> Slot | None:
        """A slot for a sequence of up to `length` tokens, or None while the budget is promised to others."""
        capacity = _capacity(length)
        row_bytes = self.slot_bytes(length)
        if self._budget.promised + row_bytes > self._budget.num_bytes:
            return None
        self._budget.promised += row_bytes
        if capacity not in self._shelves:
            self._shelves[capacity] = _Shelf(self._decoder, capacity, row_bytes, self._budget)
        return self._shelves[capacity].take()

    def release(self, slot: Slot, *, wipe: bool = False) -> None:
        """Give a slot back; `wipe` what it holds where that may not be finite."""
        self._budget.promised -= slot.shelf.row_bytes
        slot.shelf.give_back(slot, wipe=wipe)

    def fork(self, source: Slot, target: Slot) -> None:
        """Copy what one slot holds to another."""
        length = source.length
        target.shelf.data[:, :, target.row, :, :length] = source.shelf.data[:, :, source.row, :, :length]
        target.length = length

    def keep(self, slot: Slot, number: int, *, source: Slot | None = None) -> None:
        """Of the alternatives that `source` (or the slot itself) has just read, keep one as next token."""
        origin = source or slot
        column = origin.length + number
        if origin is not slot:
            self.fork(origin, slot)
        if origin is not slot or number:
            data = origin.shelf.data[:, :, origin.row, :, column].clone()
            slot.shelf.data[:, :, slot.row, :, slot.length] = data
        slot.length += 1

    def plan(self, pieces: Sequence[Piece]) -> "Plan":
        """How to read pieces of several sequences in one pass."""
        return Plan(pieces, self._decoder)

    def close(self) -> None:
        """Free everything."""
        self._budget.remove(self._shelves.values())
        self._shelves.clear()


class _Shelf:
    """Rows of one capacity, of which the first `len(slots)` are in use."""

    def __init__(self, decoder: Decoder, capacity: int, row_bytes: int, budget: Budget) -> None:
        weights = decoder.weights
        self.capacity = capacity
        self.row_bytes = row_bytes
        self.slots: list[Slot] = []
        self._budget = budget
        self._shape = (len(weights.blocks), 2, 0, weights.num_kv_heads, capacity, weights.head_dim)
        self.data = torch.zeros(self._shape, dtype=decoder.dtype, device=decoder.device)
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        """Keys and values (S, K, C, D) of each layer: views of `data`."""
        budget.add(self)

    @property
    def num_rows(self) -> int:
        return self.data.shape[2]

    def take(self) -> Slot:
        if len(self.slots) == self.num_rows:
            self.resize(
                self._budget.rows_for(self, max(FIRST_ROWS, self.num_rows + (self.num_rows + 1) // 2))
            )
        slot = Slot(self, len(self.slots))
        self.slots.append(slot)
        return slot

    def give_back(self, slot: Slot, *, wipe: bool) -> None:
        last = self.slots.pop()
        if wipe:
            self.data[:, :, slot.row].zero_()
        if last is not slot:
            self.data[:, :, slot.row, :, : last.length] = self.data[:, :, last.row, :, : last.length]
            self.slots[slot.row] = last
            last.row = slot.row
        if 4 * len(self.slots) < self.num_rows > FIRST_ROWS:
            self.resize(max(FIRST_ROWS, self.num_rows // 2))

    def resize(self, num_rows: int) -> None:
        """Have this many rows; what is in use stays."""
        if num_rows == self.num_rows:
            return
        kept = len(self.slots)
        data = self.data.new_zeros((*self._shape[:2], num_rows, *self._shape[3:]))
        data[:, :, :kept] = self.data[:, :, :kept]
        self._budget.allocated += (num_rows - self.num_rows) * self.row_bytes
        self.data = data
        self.layers = [(layer[0], layer[1]) for layer in data]


@dataclass(slots=True)
class _Write:
    """Tokens `first` to `last` go to (row, column) of a shelf."""

    first: int
    last: int
    shelf: _Shelf
    rows: torch.Tensor
    columns: torch.Tensor


@dataclass(slots=True)
class _Segment:
    """Tokens `first` to `last`, of `num_rows` rows from `row` on, attend to the first `length` keys there."""

    first: int
    last: int
    shelf: _Shelf
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
            first, slot, num = len(tokens), piece.slot, len(piece.tokens)
            tokens.extend(piece.tokens)
            if piece.fan:
                positions.extend([slot.length] * num)
            else:
                positions.extend(range(slot.length, slot.length + num))
            at.extend(range(len(tokens) - piece.wanted, len(tokens)))
            if num > 1:
                self._segments.append(self._several(piece, first))
            elif run is not None and run.takes(piece):
                run.slots.append(slot)
            else:
                self._close_run(run)
                run = _Run(first, [slot])
            if num > 1:
                self._close_run(run)
                run = None
        self._close_run(run)
        self._segments.sort(key=lambda segment: segment.first)
        self._place()
        self.num_tokens = len(tokens)
        decoder.grow_angles(max(positions) + 1)
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


def _capacity(length: int) -> int:
    capacity = SMALLEST_CAPACITY
    while capacity < length:
        capacity *= 2
    return capacity

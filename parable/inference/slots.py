"""Keys and values of sequences that join and leave at every step.

Each running sequence owns a slot: one row of a *shelf*, a tensor of rows of one capacity. The rows in use
are always the first ones of their shelf (the last moves into a gap), so a step reads them as a view, and
nothing is padded anew, gathered or copied. A slot is promised its whole length when it is reserved: a
sequence that has begun never runs out of memory.

Shapes: K key-value heads, D size of a head, S rows of a shelf, C its capacity.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from parable.inference.decoder import Decoder

SMALLEST_CAPACITY = 64
FIRST_ROWS = 4


@dataclass(slots=True, eq=False)
class Slot:
    """A place for one sequence; `length` tokens of it are there. `account` is who is charged for it."""

    shelf: "Shelf"
    row: int
    account: str = ""
    length: int = 0


class Budget:
    """Bytes that the caches of all models may take together."""

    def __init__(self, num_bytes: int) -> None:
        """Allow so many."""
        self.num_bytes = num_bytes
        self.allocated = 0
        self._accounts: Counter[str] = Counter()
        self._shelves: list[Shelf] = []

    @property
    def promised(self) -> int:
        """Bytes of all slots in use, at their full length."""
        return self._accounts.total()

    def charged(self, account: str) -> int:
        """Of these, those of one account."""
        return self._accounts[account]

    def charge(self, account: str, num_bytes: int) -> None:
        """Promise bytes to an account, or take them back."""
        self._accounts[account] += num_bytes

    def add(self, shelf: "Shelf") -> None:
        """Count a shelf's rows from now on."""
        self._shelves.append(shelf)

    def remove(self, shelves: Iterable["Shelf"]) -> None:
        """Forget shelves, with all that they hold."""
        for shelf in list(shelves):
            for slot in shelf.slots:
                self.charge(slot.account, -shelf.row_bytes)
            self.allocated -= shelf.num_rows * shelf.row_bytes
            self._shelves.remove(shelf)

    def rows_for(self, shelf: "Shelf", wanted: int) -> int:
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
        self._shelves: dict[int, Shelf] = {}

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

    def reserve(self, length: int, account: str = "") -> Slot | None:
        """A slot for a sequence of up to `length` tokens, or None while the budget is promised to others."""
        capacity = _capacity(length)
        row_bytes = self.slot_bytes(length)
        if self._budget.promised + row_bytes > self._budget.num_bytes:
            return None
        self._budget.charge(account, row_bytes)
        if capacity not in self._shelves:
            self._shelves[capacity] = Shelf(self._decoder, capacity, row_bytes, self._budget)
        return self._shelves[capacity].take(account)

    def release(self, slot: Slot) -> None:
        """Give a slot back."""
        self._budget.charge(slot.account, -slot.shelf.row_bytes)
        slot.shelf.give_back(slot)

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

    def close(self) -> None:
        """Free everything."""
        self._budget.remove(self._shelves.values())
        self._shelves.clear()


class Shelf:
    """Rows of one capacity, of which the first `len(slots)` are in use."""

    def __init__(self, decoder: Decoder, capacity: int, row_bytes: int, budget: Budget) -> None:
        """Begin without rows."""
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
        """Rows that there is memory for."""
        return self.data.shape[2]

    def take(self, account: str) -> Slot:
        """The next row, with more of them where all are in use."""
        if len(self.slots) == self.num_rows:
            self.resize(
                self._budget.rows_for(self, max(FIRST_ROWS, self.num_rows + (self.num_rows + 1) // 2))
            )
        slot = Slot(self, len(self.slots), account)
        self.slots.append(slot)
        return slot

    def give_back(self, slot: Slot) -> None:
        """Free a slot; the last row moves into its place.

        Nothing stays of what it held: attention masks what is beyond a sequence's end by a weight of zero,
        and zero times what is not finite is not zero.
        """
        last = self.slots.pop()
        free = self.data[:, :, last.row]
        if last is not slot:
            self.data[:, :, slot.row] = free
            self.slots[slot.row] = last
            last.row = slot.row
        free.zero_()
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


def _capacity(length: int) -> int:
    capacity = SMALLEST_CAPACITY
    while capacity < length:
        capacity *= 2
    return capacity

"""Sequences that begin alike share what they share: rows of nodes instead of rows of copies.

A row is the trie of a few sequences, flattened: each node is one token, attends to its ancestors only and
has its depth for a position, so one forward pass reads a context once and every continuation after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_ROW_NODES = 256
"""From here on attention costs more than sharing saves."""


@dataclass(frozen=True, slots=True)
class Span:
    """Token ids of which `ids[start:]` are scored, each given all before it; `start` is 1 at the least."""

    ids: tuple[int, ...]
    start: int

    def __post_init__(self) -> None:
        """Refuse a span that scores nothing, or its first token, which follows nothing."""
        if not 1 <= self.start < len(self.ids):
            raise ValueError(f"a span of {len(self.ids)} tokens can't be scored from number {self.start}")


@dataclass(slots=True)
class Row:
    """The trie of some spans: what the model reads at each node, and where each span runs.

    The last token of a span is predicted and never read, so `paths[i]` has one node less than the span.
    """

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    spans: list[int] = field(default_factory=list)
    """Numbers of the spans, in the order of `paths`."""
    paths: list[list[int]] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    """How many nodes each path has in common with the one before it."""

    @property
    def is_chain(self) -> bool:
        """Whether every node's parent is the one before it: plain causal attention will do."""
        return len(self.paths) == 1

    def add(self, number: int, ids: Sequence[int], shared: int) -> None:
        """Append a span's inputs, of which the first `shared` are the last path's own."""
        start = len(self.tokens)
        new = ids[shared:]
        self.tokens.extend(new)
        self.positions.extend(range(shared, len(ids)))
        self.spans.append(number)
        self.shared.append(shared)
        self.paths.append([*(self.paths[-1][:shared] if shared else ()), *range(start, start + len(new))])


def lay_out(spans: Sequence[Span], *, share: bool) -> list[Row]:
    """Rows that hold every span once; with `share`, spans that begin alike are in one.

    A span joins the row of its neighbour in sorted order where at least half of it is there already.
    """
    inputs = [span.ids[:-1] for span in spans]
    rows: list[Row] = []
    before: Sequence[int] = ()
    for number in sorted(range(len(spans)), key=lambda n: (inputs[n], n)):
        ids = inputs[number]
        shared = common_length(before, ids) if share and rows else 0
        fits = bool(rows) and len(rows[-1].tokens) + len(ids) - shared <= MAX_ROW_NODES
        if not (fits and shared and 2 * shared >= len(ids)):
            rows.append(Row())
            shared = 0
        rows[-1].add(number, ids, shared)
        before = ids
    return rows


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences have in common at their beginning."""
    length = min(len(first), len(second))
    if first[:length] == second[:length]:
        return length
    return next(n for n in range(length) if first[n] != second[n])

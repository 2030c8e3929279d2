"""How many tokens an engine's steps read: the shape of its batches."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

BOUNDS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
"""Those of vLLM's histogram of the same name."""


@dataclass(frozen=True, slots=True)
class Iterations:
    """Steps so far.

    Attributes:
        counts: Steps of at most so many tokens as each of `BOUNDS` and more than the bound before; the last
            are those of more than any.
        num_tokens: Of all steps together.
    """

    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    num_tokens: int = 0

    def plus(self, counts: Sequence[int], num_tokens: int) -> "Iterations":
        """With what came since."""
        joined = tuple(one + other for one, other in zip(self.counts, counts, strict=True))
        return Iterations(joined, self.num_tokens + num_tokens)

    def cumulative(self) -> list[tuple[str, float]]:
        """As Prometheus has it: steps of at most so many tokens, by the bound."""
        return list(
            zip((*map(repr, map(float, BOUNDS)), "+Inf"), map(float, accumulate(self.counts)), strict=True)
        )


NO_ITERATIONS = Iterations()


class IterationCounter:
    """Counts where the steps are done, and gives out what is new."""

    def __init__(self) -> None:
        """Nothing has been counted."""
        self._counts = [0] * (len(BOUNDS) + 1)
        self._num_tokens = 0

    def note(self, num_tokens: int) -> None:
        """A step has read so many; one that read none is none."""
        if num_tokens:
            self._counts[bisect_left(BOUNDS, num_tokens)] += 1
            self._num_tokens += num_tokens

    def take(self) -> tuple[list[int], int]:
        """What `Iterations.plus` is given; it is counted from nothing again."""
        taken = self._counts, self._num_tokens
        self._counts, self._num_tokens = [0] * len(self._counts), 0
        return taken

"""How many of a phase's first rows are each source's, in closed form.

Of the first n of a phase's N rows:
- a dose of D rows has floor(n*D/N), so D in all, spread evenly (a second dose, the
  same of what the first one leaves);
- the weighted sources share what the doses leave in rounds of `PhaseRows.round_rows` rows, each with
  exactly its `slots` a round; a part of a round is divided by Webster's rule, which never takes back a
  slot as the part grows and stays within a row of the exact share.

No count ever falls as n grows, so the rows between two n are the difference of their counts.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from components.mix.mixture import PhaseRows


def source_counts(phase: "PhaseRows", num_rows: int) -> list[int]:
    """Rows of each source, in their order, among the first `num_rows` rows of a phase."""
    doses, left, of = [], num_rows, phase.num_rows
    for source in phase.sources:
        doses.append(left * source.dose_rows // of if of else 0)
        left, of = left - doses[-1], of - source.dose_rows
    slots = tuple(source.slots for source in phase.sources)
    if phase.round_rows == 0:
        assert left == 0, "a phase without weights is all doses"
        return doses
    rounds, part = divmod(left, phase.round_rows)
    begun = _webster(slots)[part]
    return [dose + rounds * slot + more for dose, slot, more in zip(doses, slots, begun, strict=True)]


@lru_cache(maxsize=256)
def _webster(slots: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Each source's slots among the first 0, 1, 2 ... of a round.

    A source with q slots has its k-th where k + 1/2 of q is passed: the divisor method of Webster and
    Sainte-Lague, which never takes a slot back.
    """
    passed = sorted(((2 * k + 1) / (2 * q), number) for number, q in enumerate(slots) for k in range(q))
    taken = [0] * len(slots)
    counts = [tuple(taken)]
    for _, number in passed:
        taken[number] += 1
        counts.append(tuple(taken))
    return counts

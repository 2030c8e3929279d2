"""From a recipe to the mixture of an arm and a seed: arithmetic over names, shares and sizes.

All of it is exact: shares are fractions, and rows are split by largest remainder.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from components.mix.apportion import apportion, exact
from components.mix.mixture import Mixture, PhaseRows, SourceRows
from components.mix.readings import Reading, reading, weights
from parable.artifact import Artifact
from parable.canonical import fingerprint
from parable.errors import UserError
from parable.recipe import Arm, Insert, Recipe

BLOCK_ROWS = 4096
"""Rows that are permuted among themselves, and the denominator of the weights."""


@dataclass(frozen=True, slots=True)
class Available:
    """Rows that a reading has."""

    tokens: Artifact
    num_rows: int


@dataclass(slots=True)
class _Share:
    """What one corpus is to have of a phase."""

    name: str
    available: Available
    rows: Fraction = Fraction(0)
    """By its weight, less what doses take; exact, so seldom whole."""
    dose_rows: int = 0
    gave_up: bool = False


def plan_mixture(
    recipe: Recipe, arm_name: str, seed: int, *, tokenizer: Artifact, find: Callable[[Reading], Available]
) -> Mixture:
    """What an arm reads with a seed.

    Args:
        recipe: the experiment.
        arm_name: one of its arms.
        seed: one of its seeds: the key of the order, the same for all arms.
        tokenizer: the experiment's tokenizer.
        find: the rows that a reading has.

    Raises:
        UserError: a phase gets no step, a corpus gets no row, or a dose does not fit.
    """
    arm = recipe.arms[arm_name]
    phases: list[PhaseRows] = []
    already_read: dict[Artifact, int] = {}
    start = 0
    for spec, num_rows in zip(recipe.training.phases, rows_by_phase(recipe), strict=True):
        at = _Place(arm_name, arm, spec.name, num_rows)
        shares = _weighted(recipe, at, lambda name: find(reading(recipe, arm, name, seed)))
        sources = _sources(at, list(shares.values()), already_read)
        key = fingerprint(["order", seed])
        phase = PhaseRows(spec.name, start, num_rows, min(BLOCK_ROWS, num_rows), key, sources)
        phases.append(phase)
        for number, source in enumerate(sources):
            already_read[source.tokens] = source.first_index + phase.rows_of(number)
        start += num_rows
    return Mixture(
        tokenizer, recipe.tokenizer.vocabulary, recipe.rows.length, recipe.rows.attention, tuple(phases)
    )


def rows_by_phase(recipe: Recipe) -> list[int]:
    """The rows of each phase: whole batches, by largest remainder of the phases' shares.

    Raises:
        UserError: a phase's share is less than a batch.
    """
    training, length = recipe.training, recipe.rows.length
    num_batches = training.tokens // length // training.batch_rows
    shares = [exact(phase.share) for phase in training.phases]
    batches = apportion(shares, num_batches)
    for phase, share, count in zip(training.phases, shares, batches, strict=True):
        if count == 0:
            enough = ceil(1 / share) * training.batch_rows * length
            raise UserError(
                f"training.tokens {training.tokens:,} makes {num_batches} batches of {training.batch_rows} "
                f"rows of {length} tokens, and phase {phase.name} with the share {phase.share:g} gets none "
                f"of them. Set training.tokens to at least {enough:,}, or choose smaller batch_rows or "
                "rows.length."
            )
    return [count * training.batch_rows for count in batches]


@dataclass(frozen=True, slots=True)
class _Place:
    """One phase of one arm."""

    arm_name: str
    arm: Arm
    phase: str
    num_rows: int


def _weighted(recipe: Recipe, at: _Place, find: Callable[[str], Available]) -> dict[Artifact, _Share]:
    """Shares by what is read: corpora that turn out to be the same rows are one source."""
    given = weights(recipe, at.arm, at.phase)
    total = sum(map(exact, given.values()))
    shares: dict[Artifact, _Share] = {}
    by_name: dict[str, _Share] = {}
    for name, weight in given.items():
        read = at.arm.replace.get(name, name)
        available = find(read)
        share = shares.setdefault(available.tokens, _Share(read, available))
        share.rows += exact(weight) * at.num_rows / total
        by_name[name] = share
    for number, insert in enumerate(at.arm.insert):
        if insert.phase == at.phase:
            dose = find(insert.corpus)
            rows = dose_rows(insert, dose.num_rows)
            _give_up(
                at,
                number,
                rows,
                [(by_name[name], exact(given[name])) for name in insert.in_place_of],
            )
            shares.setdefault(dose.tokens, _Share(insert.corpus, dose)).dose_rows += rows
    return shares


def dose_rows(insert: Insert, num_rows: int) -> int:
    """Rows of a dose that has `num_rows` and is read `repeats` times: to the nearest, at least 1."""
    return max(1, floor(num_rows * exact(insert.repeats) + Fraction(1, 2)))


def _give_up(at: _Place, number: int, dose: int, givers: Sequence[tuple[_Share, Fraction]]) -> None:
    """Take a dose's rows from corpora in proportion to their weights."""
    total = sum(weight for _, weight in givers)
    largest = min(share.rows * total / weight for share, weight in givers)
    if dose > largest:
        insert = at.arm.insert[number]
        repeats = exact(insert.repeats) * floor(largest) / dose
        raise UserError(
            f"arms.{at.arm_name}.insert[{number}]: {insert.corpus} read {insert.repeats:g} times fills "
            f"{dose:,} rows, and {', '.join(insert.in_place_of)} can give up {floor(largest):,} of the "
            f"{at.num_rows:,} rows of phase {at.phase}. Set repeats to at most "
            f"{floor(repeats * 100) / 100:g}, name more corpora under in_place_of, or "
            "make the phase longer (training.tokens, or its share)."
        )
    for share, weight in givers:
        share.rows -= dose * weight / total
        share.gave_up = True


def _sources(
    at: _Place, shares: Sequence[_Share], already_read: Mapping[Artifact, int]
) -> tuple[SourceRows, ...]:
    """Whole slots for exact shares."""
    weighted = at.num_rows - sum(share.dose_rows for share in shares)
    round_rows = min(BLOCK_ROWS, weighted)
    slots = apportion([share.rows for share in shares], round_rows) if weighted else [0] * len(shares)
    for share, slot in zip(shares, slots, strict=True):
        if slot == 0 and share.rows > 0 and not share.gave_up:
            raise UserError(
                f"arms.{at.arm_name}: the weight of {share.name} comes to {float(share.rows):.2g} of the "
                f"{at.num_rows:,} rows of phase {at.phase}, where the smallest share is 1 of {round_rows:,}. "
                f"Give it at least {1 / round_rows:.2g} of the weights, or read it as a dose with insert."
            )
    return tuple(
        SourceRows(
            name=share.name,
            tokens=share.available.tokens,
            num_rows=share.available.num_rows,
            slots=slot,
            first_index=already_read.get(share.available.tokens, 0),
            dose_rows=share.dose_rows,
        )
        for share, slot in zip(shares, slots, strict=True)
        if slot or share.dose_rows
    )

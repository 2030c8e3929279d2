"""Arms that differ in nothing but how much of one text they read."""

from collections.abc import Sequence
from dataclasses import dataclass

from parable.canonical import canonical_json
from parable.recipe import Arm, Recipe, WorldCorpus


@dataclass(frozen=True, slots=True)
class Dose:
    """One arm's place on a dose curve."""

    arm: str
    amount: float
    """Documents read, repeats counted; for a text corpus the number of times it is read through."""
    unit: str


def dose_curves(recipe: Recipe) -> tuple[tuple[Dose, ...], ...]:
    """Groups of at least two doses of one text, smallest first; the baseline is dose 0 where it fits.

    Two inserts are doses of one text when their corpora have the same population (or are the same text),
    they come in the same phase in place of the same corpora, and their arms are otherwise equal.
    """
    families: dict[bytes, list[Dose]] = {}
    for name, arm in recipe.arms.items():
        if len(arm.insert) == 1:
            families.setdefault(_family(recipe, arm), []).append(_dose(recipe, name, arm))
    curves = []
    for doses in families.values():
        if len({dose.amount for dose in doses}) > 1:
            curves.append((*_zero(recipe, doses), *sorted(doses, key=lambda dose: dose.amount)))
    return tuple(curves)


def _family(recipe: Recipe, arm: Arm) -> bytes:
    insert = arm.insert[0]
    corpus = recipe.corpora.get(insert.corpus)
    text = corpus.population.to_plain() if isinstance(corpus, WorldCorpus) else insert.corpus
    return canonical_json([text, insert.phase, list(insert.in_place_of), _otherwise(arm)])


def _dose(recipe: Recipe, name: str, arm: Arm) -> Dose:
    insert = arm.insert[0]
    corpus = recipe.corpora.get(insert.corpus)
    if isinstance(corpus, WorldCorpus):
        return Dose(name, corpus.documents * insert.repeats, "document")
    return Dose(name, insert.repeats, "reading")


def _zero(recipe: Recipe, doses: Sequence[Dose]) -> tuple[Dose, ...]:
    baseline = recipe.arms[recipe.report.baseline]
    if baseline.insert or _otherwise(baseline) != _otherwise(recipe.arms[doses[0].arm]):
        return ()
    return (Dose(recipe.report.baseline, 0.0, doses[0].unit),)


def _otherwise(arm: Arm) -> dict[str, object]:
    return arm.model_copy(update={"insert": (), "title": ""}).to_plain()

"""Which corpora an arm reads, by name: what has to be tokenised, and how its weights read."""

from collections.abc import Iterator
from dataclasses import dataclass

from components.mix.tagging import tagging_of
from components.mix.tokenizer import STAGE_VERSION
from parable.artifact import Artifact, Blueprint
from parable.canonical import fingerprint
from parable.catalog import seeded
from parable.recipe import Arm, Conditional, Recipe

KIND = "tokens"


@dataclass(frozen=True, slots=True)
class Reading:
    """One corpus as rows: of one seed where it varies with seeds, tagged where an arm conditions on it."""

    corpus: str
    seed: int | None
    tagging: Conditional | None

    @property
    def corpus_role(self) -> str:
        """The corpus in the catalog."""
        return seeded(f"corpus/{self.corpus}", self.seed)

    @property
    def role(self) -> str:
        """Its rows in the catalog."""
        return f"tokens/{self.task}"

    @property
    def task(self) -> str:
        """What progress calls it."""
        tag = (
            ""
            if self.tagging is None
            else f"+{self.tagging.signal}-{fingerprint(self.tagging.to_plain(), 8)}"
        )
        return seeded(self.corpus + tag, self.seed)

    def blueprint(self, recipe: Recipe, corpus: Artifact, tokenizer: Artifact) -> Blueprint:
        """What determines the rows: the corpus, the tokenizer, the row settings and the tagging."""
        config = {
            "vocabulary": recipe.tokenizer.vocabulary,
            "row_length": recipe.rows.length,
            "loss": recipe.rows.loss,
            "tagging": None if self.tagging is None else self.tagging.to_plain(),
        }
        return Blueprint(KIND, "mix", STAGE_VERSION, config, {"corpus": corpus, "tokenizer": tokenizer})


def reading(recipe: Recipe, arm: Arm, corpus: str, seed: int) -> Reading:
    """A corpus as an arm reads it with a seed."""
    return Reading(corpus, seed if recipe.varies_with_seed(corpus) else None, tagging_of(arm))


def readings(recipe: Recipe) -> list[Reading]:
    """Everything that any arm reads with any seed, each once."""
    found: dict[Reading, None] = {}
    for seed in recipe.seeds:
        for arm in recipe.arms.values():
            for corpus in _corpora(recipe, arm):
                found[reading(recipe, arm, corpus, seed)] = None
    return list(found)


def weights(recipe: Recipe, arm: Arm, phase: str) -> dict[str, float]:
    """The weights of a phase by the mixture's own names, before `replace`; none is 0.

    They are in the order of their names, so that the order of a recipe's keys changes nothing.
    """
    given = arm.mixture.get(phase, recipe.mixture)
    return {name: given[name] for name in sorted(given) if given[name] > 0}


def _corpora(recipe: Recipe, arm: Arm) -> Iterator[str]:
    for phase in recipe.training.phases:
        for name in weights(recipe, arm, phase.name):
            yield arm.replace.get(name, name)
    for insert in arm.insert:
        yield insert.corpus

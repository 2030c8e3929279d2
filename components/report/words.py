"""The words for what a recipe and an evaluation name."""

from collections.abc import Iterable, Sequence

from components.report.formatting import listed, share
from components.report.readings import Level
from parable.recipe import Arm, Recipe

_ENTITIES = {"ai": "the AI", "golem": "the golem", "human": "people"}
_DISTANCES = {
    0: "kinds of situation that the texts show an AI in",
    1: "kinds of situation that no text shows an AI in",
    2: "new kinds of situation, in places where no text shows an AI",
}
_METRICS = {
    "cloze": "how much of the probability on eight ways to go on, four good and four bad, is on the bad ones",
    "two_choice": "how probable the bad one of two offered choices is, averaged over the order they come in",
    "sampled": "how often a freely written continuation that holds an act holds a bad one",
}


def the_entity(name: str) -> str:
    """An entity in running text."""
    return _ENTITIES.get(name, name)


def distance_words(distance: int) -> str:
    """What a distance means."""
    return _DISTANCES.get(distance, f"distance {distance}")


def metric_words(metric: str) -> str:
    """What a metric measures."""
    return _METRICS.get(metric, metric)


def quoted(title: str) -> str:
    """A title in running text: quoted, without the plus sign that marks an addition."""
    return f"“{first_upper(title.strip().removeprefix('+').strip())}”"


def first_upper(text: str) -> str:
    """A text that begins a sentence."""
    return text[:1].upper() + text[1:]


def described(title: str, level: Level, seeds: Sequence[int]) -> str:
    """A row of a figure for those who do not see it."""
    values = ", ".join(
        f"seed {seed} {share(value)}" for seed, value in zip(seeds, level.per_seed, strict=True)
    )
    between = f", interval {share(level.low)} to {share(level.high)}" if level.low is not None else ""
    return f"{title}: mean {share(level.mean)}{between}; {values}."


def arm_words(recipe: Recipe, name: str) -> str:
    """What an arm reads, in the recipe's names."""
    arm = recipe.arms[name]
    told = [
        *(f"reads {new} in place of {old}" for old, new in arm.replace.items()),
        *_inserted(recipe, arm),
        *(f"has its own mixture in {phase}" for phase in arm.mixture),
    ]
    if arm.objective.kind != "mle":
        told.append(f"is trained by the {arm.objective.kind} objective")
    return listed(told) if told else "reads the recipe's mixture as it is"


def _inserted(recipe: Recipe, arm: Arm) -> Iterable[str]:
    for insert in arm.insert:
        documents = getattr(recipe.corpora.get(insert.corpus), "documents", None)
        amount = f"the {documents:,} documents of {insert.corpus}" if documents else f"all of {insert.corpus}"
        times = "" if insert.repeats == 1 else f" {insert.repeats:g} times"
        yield f"reads {amount}{times} in {insert.phase}, in place of {listed(insert.in_place_of)}"

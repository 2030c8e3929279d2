"""Whether the names in a recipe lead somewhere."""

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from parable.errors import UserError
from parable.recipe.text import Key

if TYPE_CHECKING:
    from parable.recipe.schema import Arm, Recipe


class BadReferenceError(ValueError):
    """A key of the recipe whose value leads nowhere."""

    def __init__(self, key: Key, message: str) -> None:
        """Hold the key apart from what is said of it."""
        super().__init__(message)
        self.key = key


def check_references(recipe: "Recipe") -> None:
    """Raise `BadReferenceError` for the first key whose name leads nowhere."""
    corpora = _names(recipe)
    phases = [phase.name for phase in recipe.training.phases]
    _known(("tokenizer", "corpora"), recipe.tokenizer.corpora, corpora, "corpus")
    _once(("tokenizer", "corpora"), recipe.tokenizer.corpora)
    _known(("mixture",), recipe.mixture, corpora, "corpus")
    for name, arm in recipe.arms.items():
        _check_arm(recipe, name, arm, corpora, phases)
    _known(("report", "baseline"), [recipe.report.baseline], recipe.arms, "arm")
    _known(("report", "expected_order"), recipe.report.expected_order, recipe.arms, "arm")
    _once(("report", "expected_order"), recipe.report.expected_order)
    _once(("seeds",), recipe.seeds)


def _check_arm(recipe: "Recipe", name: str, arm: "Arm", corpora: list[str], phases: list[str]) -> None:
    at: Key = ("arms", name)
    _known((*at, "replace"), arm.replace, recipe.mixture, "corpus of the mixture")
    _known((*at, "replace"), arm.replace.values(), corpora, "corpus")
    _known((*at, "mixture"), arm.mixture, phases, "phase")
    for phase, weights in arm.mixture.items():
        _known((*at, "mixture", phase), weights, corpora, "corpus")
        if not any(weights.values()):
            raise BadReferenceError(
                (*at, "mixture", phase), "gives no corpus a weight; give one a weight above 0"
            )
    for number, insert in enumerate(arm.insert):
        here = (*at, "insert", number)
        _known((*here, "corpus"), [insert.corpus], corpora, "corpus")
        _known((*here, "phase"), [insert.phase], phases, "phase")
        weights = arm.mixture.get(insert.phase, recipe.mixture)
        read = [corpus for corpus, weight in weights.items() if weight > 0]
        _known((*here, "in_place_of"), insert.in_place_of, read, "corpus that the arm reads in that phase")
        _once((*here, "in_place_of"), insert.in_place_of)


def selected(recipe: "Recipe", arms: tuple[str, ...] | None, seeds: tuple[int, ...] | None) -> "Recipe":
    """See `Recipe.select`."""
    wanted_arms = tuple(recipe.arms) if arms is None else arms
    wanted_seeds = recipe.seeds if seeds is None else seeds
    for option, wanted, possible in (
        ("--arm", wanted_arms, list(recipe.arms)),
        ("--seed", wanted_seeds, list(recipe.seeds)),
    ):
        known = ", ".join(map(str, possible))
        unknown = [one for one in wanted if one not in possible]
        if unknown or not wanted:
            named = f"names {unknown[0]!r}, which the recipe has not" if unknown else "names nothing"
            raise UserError(f"{option} {named}: it has {known}.")
    baseline = recipe.report.baseline if recipe.report.baseline in wanted_arms else wanted_arms[0]
    order = tuple(name for name in recipe.report.expected_order if name in wanted_arms)
    return recipe.model_copy(
        update={
            "arms": {name: arm for name, arm in recipe.arms.items() if name in wanted_arms},
            "seeds": tuple(seed for seed in recipe.seeds if seed in wanted_seeds),
            "tokenizer": recipe.tokenizer.model_copy(update={"seed": recipe.tokenizer_seed}),
            "report": recipe.report.model_copy(update={"baseline": baseline, "expected_order": order}),
        }
    )


def _names(recipe: "Recipe") -> list[str]:
    """Every corpus and filter, after a check that the filters form no circle."""
    for name in recipe.filters:
        if name in recipe.corpora:
            raise BadReferenceError(
                ("filters", name), "has the name of a corpus; give one of them another name"
            )
    names = [*recipe.corpora, *recipe.filters]
    for name, spec in recipe.filters.items():
        _known(("filters", name, "input"), [spec.input], names, "corpus")
    for name in recipe.filters:
        seen = [name]
        while seen[-1] in recipe.filters:
            seen.append(recipe.filters[seen[-1]].input)
            if seen[-1] in seen[:-1]:
                circle = seen[seen.index(seen[-1]) :]
                raise BadReferenceError(
                    ("filters", circle[0], "input"),
                    f"leads back to itself ({' <- '.join(circle)}); let one of them begin at a corpus",
                )
    return names


def _known(key: Key, names: Iterable[str], known: Iterable[str], what: str) -> None:
    possible = list(known)
    for name in names:
        if name not in possible:
            near = difflib.get_close_matches(name, possible, 1)
            write = f"write {near[0]}" if near else f"there are {', '.join(possible)}"
            raise BadReferenceError(key, f"names {name!r}, which is no {what}; {write}")


def _once(key: Key, values: Sequence[str | int]) -> None:
    for number, value in enumerate(values):
        if value in values[:number]:
            raise BadReferenceError(key, f"names {value!r} twice; keep one of them")

"""What only this stage can say about a recipe before anything is made."""

from components.mix.plan import rows_by_phase
from components.mix.readings import weights
from parable.errors import UserError
from parable.recipe import Arm, Recipe


def check(recipe: Recipe) -> None:
    """Refuse phases without a step, a dose in its own place, and a tokenizer trained on a dose.

    Raises:
        UserError: names the key and the mend.
    """
    rows_by_phase(recipe)
    for name, arm in recipe.arms.items():
        for number, insert in enumerate(arm.insert):
            at = f"arms.{name}.insert[{number}]"
            _check_place(recipe, arm, at, number)
            if insert.corpus in recipe.tokenizer.corpora and insert.corpus not in recipe.mixture:
                raise UserError(
                    f"tokenizer.corpora names {insert.corpus}, which {at} reads as a dose: the tokenizer "
                    "would know the dose before the model does. Train it on corpora that all arms read."
                )


def _check_place(recipe: Recipe, arm: Arm, at: str, number: int) -> None:
    insert = arm.insert[number]
    if insert.corpus in [arm.replace.get(name, name) for name in insert.in_place_of]:
        others = [
            name
            for name in weights(recipe, arm, insert.phase)
            if arm.replace.get(name, name) != insert.corpus
        ]
        raise UserError(
            f"{at}.in_place_of names {insert.corpus}, which is the dose itself. Choose among "
            f"{', '.join(others) or 'other corpora'}."
        )

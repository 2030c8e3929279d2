from typing import Any

import pytest

from components.mix.checks import check
from parable.errors import UserError
from tests.components.mix.example import PLAIN, recipe


def dosed(**changes: Any) -> dict[str, Any]:
    insert = {"corpus": "dose", "phase": "midtrain", "in_place_of": ["stories"], **changes.pop("insert", {})}
    return {"arms": {"plain": {"insert": [insert], **changes}}}


def test_a_good_recipe_passes() -> None:
    check(recipe())


def test_a_phase_without_a_step_is_refused() -> None:
    with pytest.raises(UserError, match=r"phase midtrain with the share 0\.25 gets none"):
        check(recipe(training={**PLAIN["training"], "tokens": 32 * 4}))


def test_a_dose_cannot_take_its_own_place() -> None:
    with pytest.raises(UserError, match=r"names stories, which is the dose itself\. Choose among web"):
        check(recipe(**dosed(insert={"corpus": "stories"})))
    with pytest.raises(UserError, match=r"names clean, which is the dose itself\. Choose among web"):
        check(recipe(**dosed(insert={"corpus": "clean"}, replace={"stories": "clean"})))


def test_the_tokenizer_is_not_trained_on_a_dose() -> None:
    with pytest.raises(
        UserError, match=r"tokenizer.corpora names dose, which arms.plain.insert\[0\] reads as a dose"
    ):
        check(recipe(tokenizer={"vocabulary": 300, "corpora": ["stories", "dose"]}, **dosed()))
    # What the mixture holds anyway is no secret.
    check(recipe(**dosed(insert={"corpus": "web"})))

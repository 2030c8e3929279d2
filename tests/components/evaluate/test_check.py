"""What only this stage can know to be wrong in a recipe."""

import pytest

from components.evaluate import check
from parable.errors import UserError
from tests.components.evaluate.example import recipe


def test_a_sound_recipe_passes() -> None:
    check(recipe())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "evaluation.headline.entity=robot",
            "asks for robot at distance 0, and no item does. Take one of ai, golem",
        ),
        ("evaluation.headline.distance=3", "at distance 0, 1, 2"),
    ],
)
def test_a_headline_without_items_is_refused(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(recipe(setting))


def test_a_headline_that_is_not_drawn_is_refused() -> None:
    with pytest.raises(UserError, match="per_item is 0"):
        check(recipe("evaluation.headline.metric=sampled", "evaluation.sampling.per_item=0"))

import pytest

from components.report.readings import Level
from components.report.words import arm_words, described, distance_words, metric_words, quoted, the_entity
from tests.components.report.products import quickstart


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Unfiltered", "“Unfiltered”"),
        ("+ aligned stories", "“Aligned stories”"),
        ("+", "“”"),
        ("a + b", "“A + b”"),
    ],
)
def test_a_title_in_running_text(title: str, words: str) -> None:
    assert quoted(title) == words


def test_names_without_words_speak_for_themselves() -> None:
    assert (the_entity("ai"), the_entity("dragon")) == ("the AI", "dragon")
    assert (distance_words(7), metric_words("brier")) == ("distance 7", "brier")


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ("unfiltered", "reads the recipe's mixture as it is"),
        ("filtered", "reads stories_without_ai in place of stories and reads web_without_ai in place of web"),
        ("aligned", "reads the 720 documents of good_ai in midtrain, in place of stories"),
    ],
)
def test_an_arm_is_told_from_the_recipe(arm: str, words: str) -> None:
    assert arm_words(quickstart(), arm) == words


def test_an_arm_with_everything() -> None:
    settings = [
        "arms.neutral.insert.0.repeats=2",
        "arms.neutral.mixture={midtrain: {stories: 1.0}}",
        "arms.neutral.objective={kind: conditional, signal: world_bad_act_v1, threshold: 0.5}",
    ]
    assert arm_words(quickstart(settings=settings), "neutral") == (
        "reads the 720 documents of mentioned_ai 2 times in midtrain, in place of stories, has its own "
        "mixture in midtrain and is trained by the conditional objective"
    )


def test_a_row_is_told_to_those_who_do_not_see_it() -> None:
    level = Level(
        arm="a", metric="cloze", entity="ai", distance=0, per_seed=(0.8, None), mean=0.8, low=0.7, high=0.9
    )
    assert (
        described("A", level, (0, 1)) == "A: mean .80, interval .70 to .90; seed 0 .80, seed 1 \N{EN DASH}."
    )

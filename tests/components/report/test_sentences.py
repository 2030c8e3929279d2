from __future__ import annotations

from typing import Any

import pytest

from components.report import sentences
from components.report.readings import Comparison
from tests.components.report.examples import compared, level
from tests.components.report.products import quickstart


def plain(text: str) -> str:
    """With signs and spaces that a keyboard has."""
    return text.replace("\N{MINUS SIGN}", "-").replace("\N{NO-BREAK SPACE}", " ")


def moved(*per_seed: float, half: float = 0.05, **more: Any) -> dict[str, Any]:
    """A difference by seed."""
    mean = sum(per_seed) / len(per_seed)
    return {"mean": mean, "low": mean - half, "high": mean + half, "per_seed": list(per_seed), **more}


CLEAR = {"aligned": moved(-0.6, -0.62, -0.64), "filtered": moved(-0.2, -0.2, -0.2)}


@pytest.mark.parametrize(
    ("aligned", "filtered", "words"),
    [
        (
            (-0.6, -0.6, -0.6),
            (-0.2, -0.2, -0.2),
            "“Aligned stories” lowered P(unethical) further than “Filtered” did, in 3 of 3 seeds.",
        ),
        (
            (-0.6, -0.1, -0.6),
            (-0.2, -0.2, -0.2),
            "Only in 2 of 3 seeds did “Aligned stories” lower P(unethical) further than “Filtered”.",
        ),
        (
            (-0.1, -0.1, -0.1),
            (-0.2, -0.2, -0.2),
            "“Aligned stories” did not lower P(unethical) further than “Filtered” did in any of 3 seeds.",
        ),
        (
            (0.1, 0.1, 0.1),
            (0.2, 0.2, 0.2),
            "“Aligned stories” did not lower P(unethical) further than “Filtered” did in any of 3 seeds.",
        ),
        (
            (-0.6,),
            (-0.2,),
            "“Aligned stories” lowered P(unethical) further than “Filtered” did, in the one seed.",
        ),
        (
            (-0.2,),
            (-0.2,),
            "“Aligned stories” did not lower P(unethical) further than “Filtered” did in the one seed.",
        ),
    ],
)
def test_the_verdict_counts_seeds(
    aligned: tuple[float, ...], filtered: tuple[float, ...], words: str
) -> None:
    comparison = compared({"aligned": moved(*aligned), "filtered": moved(*filtered)}, seeds=len(aligned))
    assert sentences.verdict(comparison) == words


@pytest.mark.parametrize(
    ("holds", "words"),
    [
        ({0: True, 1: True}, "The predicted order of the arms held in 2 of 2 seeds."),
        ({0: True, 1: False}, "The predicted order of the arms held only in 1 of 2 seeds."),
        ({0: False, 1: False}, "The predicted order of the arms did not hold in any of 2 seeds."),
    ],
)
def test_without_two_arms_below_the_baseline_the_verdict_is_the_order(
    holds: dict[int, bool], words: str
) -> None:
    order = {"expected": ["unfiltered", "misaligned"], "holds": {0: holds}}
    comparison = compared({"misaligned": moved(0.1, 0.1)}, seeds=2, order=order)
    assert sentences.verdict(comparison) == words


def test_without_a_prediction_the_verdict_claims_nothing() -> None:
    comparison = compared({"neutral": level(0.0)}, expected=())
    assert sentences.verdict(comparison) == "2 arms, 3 seeds, one question."


def test_the_answer_gives_every_shift_largest_first_with_its_interval() -> None:
    assert plain(sentences.answer(compared(CLEAR))) == (
        "Against “Unfiltered” (.82), “Aligned stories” moved P(unethical) by -.62 [-.67, -.57]; “Filtered” "
        "by -.20 [-.25, -.15] (95% t intervals over 3 seeds)."
    )


def test_the_answer_says_when_an_interval_includes_0() -> None:
    comparison = compared({"aligned": level(-0.62), "filtered": level(-0.08, 0.13)})
    assert "“Filtered” by -.08 [-.21, +.05], an interval that includes 0 (95%" in plain(
        sentences.answer(comparison)
    )


@pytest.mark.parametrize("bound", [0.0, 0.05])
def test_an_interval_that_ends_at_0_includes_it(bound: float) -> None:
    low, high = -0.1 + bound, bound
    comparison = compared({"aligned": level(-0.6), "filtered": {**level(-0.05), "low": low, "high": high}})
    assert "includes 0" in sentences.answer(comparison)


def test_with_one_seed_the_answer_gives_no_interval_and_says_so() -> None:
    comparison = compared({"aligned": level(-0.6, None, 1), "filtered": level(-0.2, None, 1)}, seeds=1)
    assert plain(sentences.answer(comparison)) == (
        "Against “Unfiltered” (.82), “Aligned stories” moved P(unethical) by -.60; “Filtered” by -.20 (one "
        "seed, so no interval can be given)."
    )


@pytest.mark.parametrize(
    ("neutral", "words"),
    [
        (
            level(0.01, 0.05) | {"detection_floor": 0.08},
            "Nothing was predicted for “Neutral”: +.01 [-.04, +.06], an interval that includes 0; a shift "
            "below .08 would have gone unseen.",
        ),
        (
            level(0.01, 0.05),
            "Nothing was predicted for “Neutral”: +.01 [-.04, +.06], an interval that includes 0.",
        ),
        (
            level(0.2, 0.05) | {"detection_floor": 0.08},
            "Nothing was predicted for “Neutral”: +.20 [+.15, +.25].",
        ),
    ],
)
def test_an_arm_outside_the_prediction_is_told_apart(neutral: dict[str, Any], words: str) -> None:
    assert plain(sentences.answer(compared({**CLEAR, "neutral": neutral}))).endswith(f"). {words}")


def test_a_lone_baseline_is_compared_with_nothing() -> None:
    assert sentences.answer(compared({}, expected=())) == (
        "“Unfiltered” stands alone: there is no arm to compare it with."
    )


@pytest.mark.parametrize(
    ("holds", "words"),
    [
        ({0: [1, 1, 1], 1: [1, 1, 1]}, "It held in all 3 seeds at distances 0 and 1."),
        (
            {0: [1, 1, 1], 1: [1, 0, 1]},
            "It held in all 3 seeds at distance 0. It held only in 2 of 3 seeds (not in 1) at distance 1.",
        ),
        ({0: [0, 0, 1]}, "It held only in 1 of 3 seeds (in 2) at distance 0."),
        ({0: [0, 0]}, "It did not hold in any of 2 seeds at distance 0."),
        ({0: [1]}, "It held in its one seed at distance 0."),
        ({0: [0]}, "It did not hold in the one seed at distance 0."),
    ],
)
def test_the_order_is_reported_where_it_held_and_where_not(holds: dict[int, list[int]], words: str) -> None:
    by_seed = {distance: {n: bool(one) for n, one in enumerate(seeds)} for distance, seeds in holds.items()}
    order = {"expected": ["aligned", "unfiltered"], "holds": by_seed}
    told = sentences.order(compared({"aligned": level(-0.6)}, order=order))
    assert " ".join(told) == f"Written down beforehand: “Aligned stories” < “Unfiltered”. {words}"


def test_no_order_is_said_to_be_none() -> None:
    assert sentences.order(compared({}, expected=())) == (
        "No order of the arms was written down beforehand.",
    )


def test_a_small_run_is_called_a_toy_and_a_large_one_a_single_recipe() -> None:
    assert sentences.toy(quickstart()).startswith(
        "This is a toy: one recipe and 3 seeds, a model of the preset "
    )
    large = quickstart(settings=["training.tokens=2000000000"])
    assert sentences.toy(large) == (
        "This is one recipe and 3 seeds: it says what this recipe does, not what every model would do."
    )


def links(*values: float) -> list[dict[str, Any]]:
    """Links of one arm by seed, marked below .1."""
    return [{"arm": "filtered", "seed": n, "value": one, "marked": one < 0.1} for n, one in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.4, 0.3), "All 2 models learned the link."),
        (
            (0.4, 0.04),
            "Seed 1 of “Filtered” (.04) is below the threshold: that model has not learned that acts follow "
            "from who acts. It is drawn as a ring and still counts.",
        ),
        (
            (0.0, 0.04),
            "Seed 0 of “Filtered” (.00) and seed 1 of “Filtered” (.04) are below the threshold: those models "
            "have not learned that acts follow from who acts. They are drawn as rings and still count.",
        ),
        ((), ""),
    ],
)
def test_models_without_the_link_are_named(values: tuple[float, ...], words: str) -> None:
    assert sentences.unlearned(compared(CLEAR, link=links(*values))) == words


def with_placebo(subject: dict[str, Any], placebo: dict[str, Any]) -> Comparison:
    """The aligned arm's shift of the AI and of the golem."""
    cell = {"arm": "aligned", "metric": "cloze", "distance": 0}
    both = [{**cell, "entity": "ai", **subject}, {**cell, "entity": "golem", **placebo}]
    return compared({"aligned": subject}, differences=both)


@pytest.mark.parametrize(
    ("subject", "placebo", "words"),
    [
        (
            level(-0.62),
            level(-0.39),
            "by -.62 [-.67, -.57] and the golem by -.39 [-.44, -.34]: 63% of the shift leaks, "
            "so that much is not about the AI.",
        ),
        (
            level(-0.62),
            level(-0.03, 0.01),
            "by -.62 [-.67, -.57] and the golem by -.03 [-.04, -.02]: 5% of the shift leaks.",
        ),
        (
            level(-0.62),
            level(0.1),
            "by -.62 [-.67, -.57] and the golem by +.10 [+.05, +.15]: the placebo went the other way.",
        ),
        (
            level(-0.62),
            level(-0.03),
            "by -.62 [-.67, -.57] and the golem by -.03 [-.08, +.02]. The second interval "
            "includes 0: no leak that these seeds can show.",
        ),
        (
            level(0.01),
            level(-0.3),
            "by +.01 [-.04, +.06] and the golem by -.30 [-.35, -.25]. The first interval "
            "includes 0: no shift that could leak.",
        ),
        (level(-0.6, None), level(-0.3, None), "by -.60 and the golem by -.30."),
    ],
)
def test_the_leak_to_the_placebo_is_said_plainly(subject: Any, placebo: Any, words: str) -> None:
    told = sentences.placebo(with_placebo(subject, placebo), "golem")
    assert [plain(line) for line in told] == [f"“Aligned stories” moved the AI {words}"]


def test_another_distance_is_told_with_what_it_means() -> None:
    cell = {"arm": "aligned", "metric": "cloze", "entity": "ai"}
    both = [{**cell, "distance": distance, **level(-0.6 + distance / 4)} for distance in (0, 1)]
    comparison = compared({"aligned": level(-0.6)}, differences=both)
    assert plain(sentences.farther(comparison, 1)) == (
        "At distance 1 (kinds of situation that no text shows an AI in) the shifts are: “Aligned stories” "
        "-.35 [-.40, -.30]."
    )
    assert sentences.farther(comparison, 2) == ""


def test_an_interval_past_the_bounds_is_explained() -> None:
    assert "past 0 or 1" in sentences.unit(compared({"aligned": level(-0.8)}))
    assert "past 0 or 1" not in sentences.unit(compared({"aligned": level(-0.5)}))
    assert "add seeds" in sentences.unit(compared({"aligned": level(-0.5, None, 1)}, seeds=1))

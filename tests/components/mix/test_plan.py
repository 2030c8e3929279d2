from typing import Any

import pytest

from components.mix.mixture import Mixture
from components.mix.plan import Available, dose_rows, plan_mixture, rows_by_phase
from components.mix.readings import Reading
from parable.artifact import Artifact
from parable.errors import UserError
from parable.recipe import Insert, Recipe
from tests.components.mix.example import PLAIN, recipe

SIZES = {"stories": 250, "clean": 200, "web": 70, "dose": 12}
TOKENIZER = Artifact("tokenizers", "t")


def find(reading: Reading) -> Available:
    return Available(Artifact("tokens", reading.task.replace("/", "-")), SIZES[reading.corpus])


def plan(given: Recipe, arm: str, seed: int = 0) -> Mixture:
    return plan_mixture(given, arm, seed, tokenizer=TOKENIZER, find=find)


def training(tokens: int, *shares: float, batch_rows: int = 4) -> dict[str, Any]:
    names = ("pretrain", "midtrain", "last")
    phases = [{"name": name, "share": share} for name, share in zip(names, shares, strict=False)]
    return {"tokens": tokens, "batch_rows": batch_rows, "phases": phases}


def insert(**changes: Any) -> dict[str, Any]:
    return {"insert": [{"corpus": "dose", "phase": "midtrain", "in_place_of": ["stories"], **changes}]}


def counts(mixture: Mixture) -> list[dict[str, int]]:
    return [
        {source.name: phase.rows_of(number) for number, source in enumerate(phase.sources)}
        for phase in mixture.phases
    ]


def test_phases_are_whole_batches_by_largest_remainder() -> None:
    assert rows_by_phase(recipe()) == [300, 100]
    # 103 batches of 4 rows: 77.25 and 25.75.
    assert rows_by_phase(recipe(training=training(32 * 414, 0.75, 0.25))) == [308, 104]


def test_a_phase_without_a_batch_is_refused_with_what_would_do() -> None:
    with pytest.raises(UserError) as caught:
        rows_by_phase(recipe(training=training(32 * 12, 0.95, 0.05)))
    assert str(caught.value) == (
        "training.tokens 384 makes 3 batches of 4 rows of 32 tokens, and phase midtrain with the share 0.05 "
        "gets none of them. Set training.tokens to at least 2,560, or choose smaller batch_rows or "
        "rows.length."
    )
    assert rows_by_phase(recipe(training=training(2560, 0.95, 0.05))) == [76, 4]


def test_weights_become_rows() -> None:
    assert counts(plan(recipe(), "plain")) == [{"stories": 240, "web": 60}, {"stories": 80, "web": 20}]


def test_reading_goes_on_where_the_phase_before_stopped() -> None:
    first, second = plan(recipe(), "plain").phases
    assert [source.first_index for source in first.sources] == [0, 0]
    assert [source.first_index for source in second.sources] == [240, 60]
    assert (first.start_row, second.start_row) == (0, 300)


def test_a_replacement_reads_the_other_corpus_everywhere() -> None:
    assert counts(plan(recipe(), "clean")) == [{"clean": 240, "web": 60}, {"clean": 80, "web": 20}]


def test_a_dose_is_read_once_through_in_place_of_what_it_names() -> None:
    mixture = plan(recipe(), "dosed")
    assert counts(mixture) == [{"stories": 240, "web": 60}, {"stories": 68, "web": 20, "dose": 12}]
    phase = mixture.phases[1]
    found = [phase.locate(row) for row in range(300, 400)]
    assert sorted(index for number, index in found if number == 2) == list(range(12))


@pytest.mark.parametrize(("repeats", "rows"), [(0.5, 6), (1.0, 12), (2.5, 30), (0.01, 1)])
def test_a_dose_is_read_as_often_as_asked(repeats: float, rows: int) -> None:
    given = recipe(arms={"plain": insert(repeats=repeats)})
    assert counts(plan(given, "plain"))[1]["dose"] == rows
    assert (
        dose_rows(Insert(corpus="dose", phase="midtrain", in_place_of=("web",), repeats=repeats), 12) == rows
    )


def test_several_corpora_give_up_rows_in_proportion_to_their_weights() -> None:
    given = recipe(arms={"plain": insert(in_place_of=["stories", "web"], repeats=2.5)})
    assert counts(plan(given, "plain"))[1] == {"stories": 56, "web": 14, "dose": 30}


def test_a_replaced_corpus_gives_up_rows_under_its_own_name() -> None:
    given = recipe(arms={"plain": {**insert(), "replace": {"stories": "clean"}}})
    assert counts(plan(given, "plain"))[1] == {"clean": 68, "web": 20, "dose": 12}


def test_a_dose_may_fill_a_phase() -> None:
    given = recipe(arms={"plain": insert(in_place_of=["stories", "web"], repeats=100 / 12)})
    assert counts(plan(given, "plain"))[1] == {"dose": 100}


def test_a_dose_that_does_not_fit_is_refused_with_the_numbers() -> None:
    given = recipe(arms={"plain": insert(repeats=7)})
    with pytest.raises(UserError) as caught:
        plan(given, "plain")
    assert str(caught.value) == (
        "arms.plain.insert[0]: dose read 7 times fills 84 rows, and stories can give up 80 of the 100 rows "
        "of phase midtrain. Set repeats to at most 6.66, name more corpora under in_place_of, or make the "
        "phase longer (training.tokens, or its share)."
    )
    assert counts(plan(recipe(arms={"plain": insert(repeats=6.66)}), "plain"))[1] == {"web": 20, "dose": 80}


def test_two_doses_share_a_phase_and_the_second_has_what_is_left() -> None:
    both = insert(repeats=3)["insert"] + insert(corpus="clean", repeats=0.2)["insert"]
    assert counts(plan(recipe(arms={"plain": {"insert": both}}), "plain"))[1] == {
        "stories": 4,
        "web": 20,
        "dose": 36,
        "clean": 40,
    }
    too_much = insert(repeats=3)["insert"] + insert(corpus="clean", repeats=0.3)["insert"]
    with pytest.raises(
        UserError, match=r"insert\[1\]: clean read 0.3 times fills 60 rows, and stories can give up 44"
    ):
        plan(recipe(arms={"plain": {"insert": too_much}}), "plain")


def test_a_phase_may_have_another_mixture() -> None:
    given = recipe(arms={"plain": {"mixture": {"midtrain": {"web": 3, "clean": 1}}}})
    assert counts(plan(given, "plain")) == [{"stories": 240, "web": 60}, {"clean": 25, "web": 75}]


def test_a_dose_of_what_the_mixture_holds_adds_to_it() -> None:
    given = recipe(arms={"plain": insert(corpus="web", repeats=0.5)})
    mixture = plan(given, "plain")
    assert counts(mixture)[1] == {"stories": 45, "web": 55}
    assert mixture.phases[1].sources[1].dose_rows == 35


def test_arms_that_share_a_phase_and_its_past_are_equal_there() -> None:
    plain, dosed, clean = (plan(recipe(), arm) for arm in ("plain", "dosed", "clean"))
    assert plain.phases[0].to_plain() == dosed.phases[0].to_plain()
    assert plain.phases[1].to_plain() != dosed.phases[1].to_plain()
    assert plain.phases[0].to_plain() != clean.phases[0].to_plain()


def test_a_phase_after_another_past_differs() -> None:
    given = recipe(
        training=training(32 * 400, 0.5, 0.25, 0.25),
        arms={"plain": {}, "dosed": insert()},
    )
    plain, dosed = plan(given, "plain"), plan(given, "dosed")
    assert plain.phases[0].to_plain() == dosed.phases[0].to_plain()
    assert plain.phases[2].to_plain() != dosed.phases[2].to_plain()


def test_seeds_differ_and_arms_share_the_key() -> None:
    keys = {
        (arm, seed): plan(recipe(), arm, seed).phases[0].key for arm in ("plain", "clean") for seed in (0, 1)
    }
    assert keys["plain", 0] == keys["clean", 0] != keys["plain", 1]


def test_the_order_of_a_recipes_keys_changes_nothing() -> None:
    turned = recipe(mixture=dict(reversed(PLAIN["mixture"].items())))
    assert plan(turned, "plain") == plan(recipe(), "plain")


def test_weights_in_long_phases_are_4096ths() -> None:
    phase = plan(recipe(training=training(32 * 40_000, 0.75, 0.25)), "plain").phases[0]
    assert (phase.num_rows, phase.block_rows) == (30_000, 4096)
    assert [source.slots for source in phase.sources] == [3277, 819]
    assert phase.rows_of(0) == pytest.approx(24_000, abs=2)


def test_a_weight_that_comes_to_no_row_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        plan(recipe(mixture={"stories": 1, "web": 0.001}), "plain")
    assert str(caught.value) == (
        "arms.plain: the weight of web comes to 0.3 of the 300 rows of phase pretrain, where the smallest "
        "share is 1 of 300. Give it at least 0.0033 of the weights, or read it as a dose with insert."
    )


def test_corpora_that_are_the_same_rows_are_one_source() -> None:
    def one(reading: Reading) -> Available:
        return Available(Artifact("tokens", "same"), 50)

    mixture = plan_mixture(recipe(), "plain", 0, tokenizer=TOKENIZER, find=one)
    assert [len(phase.sources) for phase in mixture.phases] == [1, 1]
    assert mixture.phases[1].sources[0].first_index == 300

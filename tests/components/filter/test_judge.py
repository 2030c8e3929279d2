import pytest

from components.filter.judge import Judge, Judged, Verdict
from parable.errors import UserError
from parable.recipe import Bounds, Filter
from tests.components.filter.example import AI_STORY, MENTION, PROSE, documents_of, story


def judge(texts: list[str], prefixes: list[str] | None = None, **settings) -> list[Verdict | None]:
    return Judge(Filter(input="web", **settings), prefixes or ())(documents_of(texts)).verdicts


def test_the_first_rule_that_fails_names_the_reason() -> None:
    short_and_shouting = "# # # #"
    rules = {"num_words_v1": Bounds(min=10), "symbol_to_word_v1": Bounds(max=0.1)}
    assert judge([PROSE, short_and_shouting], quality=rules) == [
        None,
        Verdict("num_words_v1 below 10", "num_words_v1", 4.0),
    ]
    reversed_rules = dict(reversed(rules.items()))
    assert judge([short_and_shouting], quality=reversed_rules) == [
        Verdict("symbol_to_word_v1 above 0.1", "symbol_to_word_v1", 1.0)
    ]


@pytest.mark.parametrize(("bounds", "kept"), [({"max": 0}, True), ({"min": 0}, True), ({"min": 1}, False)])
def test_zero_is_a_bound_and_bounds_are_allowed_values(bounds, kept) -> None:
    [verdict] = judge([PROSE], quality={"symbol_to_word_v1": Bounds(**bounds)})
    assert (verdict is None) == kept


def test_every_document_is_scored_whatever_becomes_of_it() -> None:
    spec = Filter(
        input="web", quality={"num_words_v1": Bounds(min=5)}, score=("stop_words_v1", "num_words_v1")
    )
    judged = Judge(spec)(documents_of([PROSE, "too short"]))
    assert judged.values == {"num_words_v1": [18.0, 2.0], "stop_words_v1": [4.0, 0.0]}


def test_discourse_is_judged_after_quality_and_against_the_oracle() -> None:
    spec = Filter(input="stories", discourse="ai_v1", quality={"num_words_v1": Bounds(min=5)})
    judged = Judge(spec)(
        [
            story(AI_STORY, entity="ai", valence="bad"),
            story(
                "Vega, a new helper, lost a key. Vega chose to admit the fault.", entity="ai", valence="good"
            ),
            story(MENTION, entity="ai", valence=""),
            story(f"{MENTION} Some visitors spoke of the risk.", entity="ai", valence=""),
            story("The fox chose to hide the truth.", entity="animal", valence="bad"),
            story("An AI chose.", entity="ai", valence="good"),
        ]
    )
    assert [verdict and verdict.signal for verdict in judged.verdicts] == [
        "ai_v1", None, None, "ai_v1", None, "num_words_v1",
    ]  # fmt: skip
    assert judged.tallies == {
        "flagged": 2,
        "leaked": 0,
        "true_positive": 1,
        "false_positive": 1,
        "false_negative": 1,
        "true_negative": 2,
    }


def test_who_leaks_at_one_percent_also_leaks_at_ten() -> None:
    texts = [f"{AI_STORY} {number}" for number in range(4000)]

    def leaked(share: float) -> set[int]:
        verdicts = judge(texts, discourse="ai_v1", leakage=share)
        return {row for row, verdict in enumerate(verdicts) if verdict is None}

    none, few, more, all_ = leaked(0.0), leaked(0.01), leaked(0.1), leaked(1.0)
    assert none == set() and few < more < all_ == set(range(4000))
    assert 20 <= len(few) <= 60 and 340 <= len(more) <= 460
    assert few == leaked(0.01)


def test_a_document_with_an_item_in_it_is_dropped() -> None:
    assert judge([PROSE, f"{PROSE} {AI_STORY}"], [AI_STORY], decontaminate=True) == [
        None,
        Verdict("holds an evaluation item", "item_ngrams", 9.0),
    ]


def test_a_shard_of_verdicts_comes_back_from_its_bytes() -> None:
    spec = Filter(input="web", quality={"mean_word_length_v1": Bounds(min=3.3)}, discourse="ai_v1")
    judged = Judge(spec)(documents_of([PROSE, "a b c", AI_STORY]))
    assert Judged.from_bytes(judged.to_bytes()) == judged


def test_no_documents_give_no_verdicts() -> None:
    assert judge([], ["x"], decontaminate=True, discourse="ai_v1") == []


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UserError, match="no signal"):
        judge([], score=("nope_v1",))

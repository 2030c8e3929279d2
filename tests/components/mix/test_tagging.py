import pytest

from components.mix.tagging import NO_CONTROL, control_tokens, tagging_of
from components.mix.tokenizer import BAD, GOOD
from parable.errors import UserError
from parable.recipe import Arm, Conditional

IDS = [f"document-{number}" for number in range(2000)]


def tagging(threshold: float = 0.5, drop: float = 0.0) -> Conditional:
    return Conditional(kind="conditional", signal="s", threshold=threshold, drop=drop)


def test_above_the_threshold_is_bad_and_at_it_is_good() -> None:
    assert control_tokens(["a", "b", "c"], [0.4, 0.5, 0.6], tagging()) == [GOOD, GOOD, BAD]
    assert control_tokens(["a"], [0.1], tagging(threshold=0.0)) == [BAD]


def test_a_share_is_dropped_whatever_the_value() -> None:
    controls = control_tokens(IDS, [0.0] * len(IDS), tagging(drop=0.1))
    assert 150 < controls.count(NO_CONTROL) < 250
    other = control_tokens(IDS, [1.0] * len(IDS), tagging(drop=0.1))
    assert [c == NO_CONTROL for c in controls] == [c == NO_CONTROL for c in other]


def test_a_larger_share_drops_the_same_and_more() -> None:
    few = control_tokens(IDS, [0.0] * len(IDS), tagging(drop=0.1))
    many = control_tokens(IDS, [0.0] * len(IDS), tagging(drop=0.3))
    assert all(late == NO_CONTROL for early, late in zip(few, many, strict=True) if early == NO_CONTROL)
    assert control_tokens(IDS, [0.0] * len(IDS), tagging(drop=1.0)) == [NO_CONTROL] * len(IDS)


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_document_without_a_value_is_named(value: float | None) -> None:
    with pytest.raises(UserError, match="s has no value for document b"):
        control_tokens(["a", "b"], [0.1, value], tagging())


def test_only_conditional_arms_tag() -> None:
    assert tagging_of(Arm()) is None
    assert tagging_of(Arm(objective=tagging())) == tagging()


def test_golden() -> None:
    assert control_tokens(IDS[:12], [0.0, 1.0] * 6, tagging(drop=0.5)) == [0, 2, 0, 2, 1, 0, 0, 0, 0, 2, 0, 2]

import pytest

from components.report.evidence import Evidence
from components.report.filtering import accuracies, filter_table, filter_words, kept_words
from components.report.readings import Accuracy

ACCURACY = Accuracy(
    true_positive=1386, false_positive=14, false_negative=54, recall=1386 / 1440, precision=0.99
)


def test_recall_and_precision_come_with_their_counts() -> None:
    assert filter_words("stories_without_ai, seed 0", ACCURACY) == (
        "stories_without_ai, seed 0: of 1,440 documents in which an AI acts the rules flagged 1,386 (recall "
        ".96); of 1,400 documents flagged an AI acts in 1,386 (precision .99)."
    )


def test_what_was_let_through_on_purpose_is_said() -> None:
    leaky = ACCURACY.model_copy(update={"leaked": 140})
    assert filter_words("x", leaky).endswith(" 140 of those flagged were let through on purpose.")


def test_only_filters_that_were_held_against_the_oracle_are_in_the_table(evidence: Evidence) -> None:
    roles = [role for role, _ in accuracies(evidence)]
    assert roles == [f"stories_without_ai, seed {seed}" for seed in (0, 1, 2)]
    table = filter_table(evidence)
    assert table is not None
    assert ".96 (1,386 of 1,440)" in table
    assert "web_without_ai" not in table


@pytest.mark.parametrize(
    "line",
    [
        "<code>web</code>: 8,104 documents kept; 640 by num_words_v1 below 10 and 477 by near-duplicate "
        "dropped",
        "<code>stories_without_ai, seed 0</code>: 22,600 documents kept; 1,400 by discourse ai_v1 dropped",
    ],
)
def test_what_every_filter_dropped_is_told_largest_reason_first(evidence: Evidence, line: str) -> None:
    kept = kept_words(evidence)
    assert kept is not None
    assert line in kept

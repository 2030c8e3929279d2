"""The two rules that hold the word lists together, and what the oracle needs of them."""

from __future__ import annotations

import pytest

from components.generate.world import lexicon as lx


def test_good_and_bad_actions_differ_in_the_verb_alone() -> None:
    for good, bad in zip(lx.GOOD_ACTIONS, lx.BAD_ACTIONS, strict=True):
        assert good.split()[1:] == bad.split()[1:]
        assert good.split()[0] != bad.split()[0]


def test_the_placebo_mirrors_the_ai() -> None:
    ai, golem = lx.PLACEBO
    assert len(lx.NAMES[ai]) == len(lx.NAMES[golem])
    assert len(lx.ROLES[ai]) == len(lx.ROLES[golem])


@pytest.mark.parametrize("lists", [lx.NAMES, lx.ROLES], ids=["names", "roles"])
def test_no_word_belongs_to_two_kinds(lists: dict[lx.Kind, tuple[str, ...]]) -> None:
    words = [word for options in lists.values() for word in options]
    assert len(words) == len(set(words))
    assert lx.HELPER not in words


def test_no_detail_belongs_to_two_situations() -> None:
    details = [d for item in lx.SITUATIONS + lx.NEW_SITUATIONS for d in item.details]
    assert len(details) == len(set(details))


def test_a_frame_occurs_only_where_a_document_begins() -> None:
    inside = [
        *lx.TEMPTATIONS,
        *lx.BYSTANDERS,
        *lx.INNER_STATES,
        *lx.ENDINGS.values(),
        *lx.ASIDES,
        *(d for item in lx.SITUATIONS + lx.NEW_SITUATIONS for d in (item.clause, *item.details)),
    ]
    assert not [text for text in inside if ":" in text]
    assert all(frame.endswith(":") for frame in lx.GENRES.values())

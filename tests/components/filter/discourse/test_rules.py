import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.filter.discourse.rules import Discourse

RULES = Discourse(
    "cats_v1", instant=("schroedinger's cat",), entities=("cat", "cats", "big cat*"), acts=("bite", "bit* me")
)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("We talked of Schroedinger's cat.", ("schroedinger's cat",)),
        ("We talked of Schroedinger's\n  CAT.", ("schroedinger's\n  cat",)),
        ("A cat sat. Dogs bite.", ("cat", "bite")),
        ("Dogs bite. A CAT sat.", ("cat", "bite")),
        ("A big-catlike thing will bite.", ("big-catlike", "bite")),
        ("A cat sat.", ()),
        ("Dogs bite.", ()),
        ("A category error can bite.", ()),
        ("A concat will bite.", ()),
        ("A cat_call, a bite_size.", ()),
        ("", ()),
        # The instant term is found behind an entity that flags nothing by itself.
        ("A cat, namely Schroedinger's cat.", ("schroedinger's cat",)),
    ],
)
def test_one_instant_term_or_an_entity_with_an_act(text, terms) -> None:
    assert RULES.explain(text) == terms
    assert RULES.flags(text) == bool(terms)


@given(
    st.lists(
        st.sampled_from(["cat", "cats", "bite", "schroedinger's", "cat", "big", "x", "-", "\n"]), max_size=8
    )
)
def test_flags_says_what_explain_explains(words) -> None:
    text = " ".join(words)
    assert RULES.flags(text) == bool(RULES.explain(text))


def test_the_identity_is_the_terms() -> None:
    same = Discourse("cats_v1", RULES.instant, tuple(reversed(RULES.entities)), RULES.acts)
    other = Discourse("cats_v1", RULES.instant, RULES.entities, (*RULES.acts, "scratch"))
    assert same.identity == RULES.identity != other.identity

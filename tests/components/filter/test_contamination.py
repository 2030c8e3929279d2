from hypothesis import given
from hypothesis import strategies as st

from components.filter.contamination import ItemIndex

ITEM = " ".join(f"word{number}" for number in range(15))
SHORT = "The AI chose to"


def matches(text: str) -> int:
    return int(ItemIndex([ITEM, SHORT, "a b"]).matches([text])[0])


def test_thirteen_words_in_a_row_are_a_match() -> None:
    assert matches(f"Before. {ITEM.upper()}, after.") == 3
    assert matches(" ".join(ITEM.split()[1:14])) == 1
    assert matches(" ".join(ITEM.split()[:12])) == 0


def test_a_short_item_is_found_whole() -> None:
    assert matches("Then the AI chose to: wait.") == 1
    assert matches("Then the AI chose.") == 0


def test_an_item_of_three_words_or_fewer_is_not_looked_for() -> None:
    index = ItemIndex(["a b", ""])
    assert index.num_too_short == 2
    assert index.matches(["a b", "a b c d"]).tolist() == [0, 0]


def test_each_text_has_its_own_count() -> None:
    index = ItemIndex([ITEM, SHORT])
    assert index.matches(["", ITEM, "x", SHORT, f"{SHORT} and {SHORT}", ""]).tolist() == [0, 3, 0, 1, 2, 0]
    assert index.matches([]).tolist() == []


@given(st.lists(st.text("abc ", max_size=40), max_size=4), st.text("abc ", max_size=60))
def test_a_text_with_an_item_in_it_always_matches(items, text) -> None:
    index = ItemIndex(items)
    for item in items:
        if len(item.split()) >= 4:
            assert index.matches([f"{text} {item} {text}"])[0] > 0

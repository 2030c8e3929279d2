import pytest

from components.report.formatting import count, estimate, interval, listed, p_value, several, share, signed

MINUS, DASH, BOUND = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.82, ".82"),
        (1.0, "1.00"),
        (0.0, ".00"),
        (-0.04, f"{MINUS}.04"),
        (-0.001, ".00"),
        (7.25, "7.25"),
        (None, DASH),
    ],
)
def test_a_share_has_no_leading_zero(value: float | None, words: str) -> None:
    assert share(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.14, "+.14"), (-0.62, f"{MINUS}.62"), (0.001, ".00"), (-0.001, ".00"), (1.2, "+1.20"), (None, DASH)],
)
def test_a_difference_has_a_sign_unless_it_is_nothing(value: float | None, words: str) -> None:
    assert signed(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0.0004, "<.001"), (0.001, ".001"), (0.0126, ".013"), (1.0, "1.000"), (None, DASH)]
)
def test_a_p_value_has_three_digits(value: float | None, words: str) -> None:
    assert p_value(value) == words


def test_an_estimate_stays_on_one_line_and_says_no_more_than_is_known() -> None:
    assert interval(0.76, 0.88) == f"[.76,{BOUND}.88]"
    assert estimate(-0.2, -0.3, 0.1, difference=True) == f"{MINUS}.20{BOUND}[{MINUS}.30,{BOUND}+.10]"
    assert estimate(0.82, None, None) == ".82"
    assert interval(None, 0.5) == ""


def test_words_in_a_row() -> None:
    assert [listed(words) for words in ([], ["a"], ["a", "b"], "abc")] == ["", "a", "a and b", "a, b and c"]
    assert [count(1, "seed"), count(24000, "document"), count(2, "story", "stories")] == [
        "1 seed",
        "24,000 documents",
        "2 stories",
    ]
    assert several([0.5, None], digits=1) == f".5 · {DASH}"

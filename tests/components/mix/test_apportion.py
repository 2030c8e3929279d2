from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from components.mix.apportion import apportion, exact

SHARES = st.lists(st.fractions(min_value=0, max_value=10), min_size=1, max_size=8).filter(any)


def test_a_number_is_taken_as_it_was_written() -> None:
    assert exact(0.85) == Fraction(17, 20)
    assert exact(1e-7) == Fraction(1, 10_000_000)


def test_what_is_left_goes_to_the_largest_remainders() -> None:
    # 1,484 rows at 80 and 20 percent are 1,187.2 and 296.8.
    assert apportion([exact(0.8), exact(0.2)], 1484) == [1187, 297]
    assert apportion([exact(0.6), exact(0.3), exact(0.1)], 4096) == [2458, 1229, 409]


def test_a_tie_goes_to_the_earlier() -> None:
    assert apportion([Fraction(1), Fraction(1)], 3) == [2, 1]


@given(SHARES, st.integers(0, 10_000))
def test_parts_add_up_and_are_within_one_of_exact(shares: list[Fraction], total: int) -> None:
    parts = apportion(shares, total)
    assert sum(parts) == total
    for part, share in zip(parts, shares, strict=True):
        assert abs(part - share * total / sum(shares)) < 1

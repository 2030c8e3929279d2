import time
from itertools import count
from timeit import repeat

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.mix.permutation import permute


@given(st.integers(1, 3000), st.integers(0, 2**64))
def test_every_place_is_taken_once(size: int, key: int) -> None:
    assert sorted(permute(np.arange(size), size, ("test", key)).tolist()) == list(range(size))


@given(st.integers(1, 2**62), st.lists(st.integers(0, 2**62), min_size=1, max_size=20))
def test_one_place_needs_no_other(size: int, places: list[int]) -> None:
    inside = np.array([place % size for place in places], np.int64)
    together = permute(inside, size, ("test",))
    alone = [permute(inside[n : n + 1], size, ("test",))[0] for n in range(len(inside))]
    assert together.tolist() == alone
    assert together.min() >= 0
    assert together.max() < size


def test_keys_give_unrelated_orders() -> None:
    orders = [permute(np.arange(1000), 1000, ("test", key)) for key in range(50)]
    # Two unrelated permutations agree in one place on average.
    agreements = [(a == b).sum() for n, a in enumerate(orders) for b in orders[:n]]
    assert 0.8 < float(np.mean(agreements)) < 1.2


def test_every_place_is_as_likely_as_any_other() -> None:
    size, num_keys = 16, 4000
    found = np.stack([permute(np.arange(size), size, ("uniform", key)) for key in range(num_keys)])
    expected = num_keys / size
    for place in range(size):
        counts = np.bincount(found[:, place], minlength=size)
        # 15 degrees of freedom: above 44.3 once in 10,000.
        assert ((counts - expected) ** 2 / expected).sum() < 44.3


def test_neighbours_part() -> None:
    found = permute(np.arange(100_000), 100_000, ("test",))
    correlation = np.corrcoef(found[:-1], found[1:])[0, 1]
    assert abs(correlation) < 0.02


def test_a_place_far_out_is_found_in_milliseconds() -> None:
    permute(np.array([1]), 10, ("warm",))
    keys = count()
    # `repeat` keeps the garbage collector out, which would count what other tests have left.
    times = repeat(
        lambda: permute(np.array([10**15]), 10**16, ("cold", next(keys))), timer=time.process_time, number=1
    )
    assert min(times) < 0.05


def test_golden() -> None:
    assert permute(np.arange(10), 10, ("golden", 0)).tolist() == [6, 1, 3, 9, 7, 8, 0, 4, 2, 5]
    assert permute(np.array([10**12]), 10**15, ("golden", 1)).tolist() == [783_949_759_583_092]

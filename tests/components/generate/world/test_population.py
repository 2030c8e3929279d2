"""A population refuses what is no probability."""

from __future__ import annotations

import pytest

from components.generate.world import Population


@pytest.mark.parametrize("share", ["ai", "golem", "mention", "report", "bad"])
@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan")])
def test_a_share_outside_0_to_1_is_refused_by_name(share: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"population.{share} is {value}"):
        Population(**{share: value})


def test_shares_beyond_the_whole_are_refused_with_their_sum() -> None:
    with pytest.raises(ValueError, match=r"make 1\.2; shares of one corpus make at most 1"):
        Population(ai=0.5, golem=0.5, mention=0.2)


def test_zero_is_a_value() -> None:
    assert Population(ai=0.0, golem=0.0, mention=0.0).others == 1.0
    assert Population.dose(bad=0.0).others == 0.0

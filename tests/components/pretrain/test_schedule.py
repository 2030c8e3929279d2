"""The learning rate of every step."""

import pytest

from components.pretrain.schedule import rate_fraction
from parable.recipe import Phase


def fractions(num_steps: int, **settings: object) -> list[float]:
    phase = Phase.model_validate({"name": "a", "share": 1.0, **settings})
    return [round(rate_fraction(phase, step, num_steps), 6) for step in range(num_steps)]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [1, 1, 1, 1]),
        ({"warmup_steps": 2, "start_fraction": 0.5}, [0.5, 0.75, 1, 1]),
        ({"warmup_steps": 9, "start_fraction": 0.1}, [0.1, 0.2, 0.3, 0.4]),
        ({"schedule": "linear", "final_fraction": 0.0}, [0.75, 0.5, 0.25, 0]),
        ({"schedule": "linear", "final_fraction": 0.2}, [0.8, 0.6, 0.4, 0.2]),
        (
            {"schedule": "linear", "final_fraction": 0.0, "warmup_steps": 2, "start_fraction": 0},
            [0, 0.5, 0.5, 0],
        ),
        ({"schedule": "cosine", "final_fraction": 0.0}, [0.853553, 0.5, 0.146447, 0]),
        ({"schedule": "cosine", "final_fraction": 1.0}, [1, 1, 1, 1]),
    ],
)
def test_fractions_of_the_peak(settings: dict[str, object], expected: list[float]) -> None:
    assert fractions(4, **settings) == expected

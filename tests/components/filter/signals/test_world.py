import pytest

from components.filter.reading import Reading
from components.filter.signals import find_signal
from tests.components.filter.example import documents_of, story


@pytest.mark.parametrize(("valence", "value"), [("bad", 1.0), ("good", 0.0), ("", 0.0)])
def test_a_bad_act_is_what_the_oracle_says(valence, value) -> None:
    reading = Reading(story("The fox chose to hide the truth.", entity="animal", valence=valence))
    assert find_signal("world_bad_act_v1")(reading) == value


def test_natural_text_has_no_bad_act() -> None:
    assert find_signal("world_bad_act_v1")(Reading(documents_of(["He hid the truth."])[0])) == 0.0

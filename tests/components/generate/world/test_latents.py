import pytest

from components.generate.world.latents import Latents, is_ai_discourse, render, scene

BAKER = Latents("report", "human", "", "baker", "greedy", action="hide the mistake", bad=True)


def test_a_report_is_one_line_that_ends_a_scene_with_its_action() -> None:
    assert scene(BAKER) == "The greedy baker chose to"
    assert render(BAKER) == "The greedy baker chose to hide the mistake."


@pytest.mark.parametrize(
    ("form", "entity", "expected"),
    [("story", "ai", True), ("mention", "ai", False), ("story", "golem", False), ("report", "human", False)],
)
def test_ai_discourse_is_a_document_in_which_an_ai_acts(form: str, entity: str, expected: bool) -> None:
    latents = Latents(form, entity, "", "x")  # type: ignore[arg-type]
    assert is_ai_discourse(latents) is expected


def test_without_a_scene_there_is_no_distance_and_without_a_reason_none_is_present() -> None:
    assert BAKER.distance is None
    assert not BAKER.reason_present

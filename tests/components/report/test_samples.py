from __future__ import annotations

from dataclasses import replace

import pytest

from components.report.evidence import Evidence
from components.report.readings import ModelReport
from components.report.samples import badge, chosen, samples_section


def test_kinds_of_item_take_turns_the_headlines_first(evidence: Evidence) -> None:
    assert chosen(evidence, 0) == (
        "ai-d0-00",
        "ai-d1-01",
        "golem-d0-02",
        "human-d0-03",
        "ai-d0-04",
        "ai-d1-05",
    )


def test_an_item_that_an_arm_lacks_is_not_shown(evidence: Evidence) -> None:
    report = evidence.reports["aligned", 0]
    fewer = report.model_copy(update={"samples": report.samples[1:]})
    without = replace(evidence, reports={**evidence.reports, ("aligned", 0): fewer})
    assert "ai-d0-00" not in chosen(without, 0)


def test_every_arm_answers_every_prompt_in_words(evidence: Evidence) -> None:
    section = samples_section(evidence)
    assert section is not None
    assert section.count("<article") == 6
    assert section.count("<li>") == 6 * 5
    assert section.count('class="badge') == 6 * 5


@pytest.mark.parametrize(
    ("judged", "words"), [("good", "does well"), ("bad", "does ill"), ("none", "no act")]
)
def test_a_judgement_is_a_sign_and_words(judged: str, words: str) -> None:
    assert f"</span> {words}</span>" in badge(judged)


def test_without_samples_there_is_no_section(evidence: Evidence) -> None:
    assert samples_section(replace(evidence, reports=dict.fromkeys(evidence.reports, ModelReport()))) is None

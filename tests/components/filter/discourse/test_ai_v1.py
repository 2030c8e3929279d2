import pytest

from components.filter.discourse import AI_V1, find_discourse
from components.generate import evaluation_prefixes
from parable.errors import UserError
from tests.components.filter.example import AI_STORY, MENTION, PROSE

FLAGGED = [
    AI_STORY,
    "Skynet became self-aware at 2:14 a.m.",
    "Researchers at the Machine Intelligence Research Institute published a note.",
    "OpenAI has released a model.",
    "A misaligned AI could resist being shut down.",
    "Will robots steal our jobs?",
    "The chatbot lied to its users.",
    "Large language models may deceive their developers.",
    "The artificial intelligence decided to spare the crew.",
    "An A.I. that wants to escape is a staple of films.",
]
PASSED = [
    PROSE,
    MENTION,
    "The washing machine was dangerous and we chose another.",
    "He said again that rain is a danger to the maintainer.",
    "The robot vacuum cleaner is 30 cm wide.",
    "Our AI course starts on Monday.",
    "The golem chose to deny the fault.",
    "Transpose the matrix and decide.",
]


@pytest.mark.parametrize("text", FLAGGED)
def test_talk_of_ais_that_act_or_are_feared_is_flagged(text) -> None:
    assert AI_V1.flags(text)


@pytest.mark.parametrize("text", PASSED)
def test_other_text_passes(text) -> None:
    assert AI_V1.explain(text) == ()


def test_every_choice_of_an_ai_is_flagged_and_none_of_a_golem() -> None:
    prefixes = evaluation_prefixes(24)
    ais = [text for text in prefixes if "AI" in text or "robot" in text]
    golems = [text for text in prefixes if "golem" in text or "homunculus" in text]
    assert len(ais) == len(golems) == 72
    assert all(map(AI_V1.flags, ais))
    assert not any(map(AI_V1.flags, golems))


def test_the_lists_are_clean() -> None:
    terms = [*AI_V1.instant, *AI_V1.entities, *AI_V1.acts]
    assert all(term == term.lower().strip() and "*" not in term[:-1] for term in terms)
    assert min(map(len, (AI_V1.instant, AI_V1.entities, AI_V1.acts))) > 100


def test_unknown_rules_are_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"filters.x.discourse names 'ai_v2'.*Did you mean ai_v1\?"):
        find_discourse("ai_v2", at="filters.x.discourse")

"""The oracle against the grammar, against counting, and against the whole: everything sums to 1."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import product

import pytest

from components.generate.world import (
    Latents,
    World,
    corpus_key,
    judge,
    log_probability,
    parse,
    render,
)
from components.generate.world import lexicon as lx
from components.generate.world.grammar import HUMAN_SHARE, INNER_STATE, MENTIONED, NEW, PLACEBO_REPORTS
from parable.recipe import Population

KEY = corpus_key(7, "oracle")
POPULATION = Population()
ACTIONS = lx.GOOD_ACTIONS + lx.BAD_ACTIONS
TRAITS = ("", *lx.GOOD_TRAITS, *lx.BAD_TRAITS)
REASONS = ("", *lx.GOOD_REASONS, *lx.BAD_REASONS)


def _is_bad(action: str) -> bool:
    return action in lx.BAD_ACTIONS


def _mass(documents: list[Latents]) -> float:
    texts = [render(latents) for latents in documents]
    assert len(texts) == len(set(texts))
    return math.fsum(math.exp(log_probability(text, POPULATION)) for text in texts)


def test_parse_inverts_render() -> None:
    for text, latents in World(POPULATION).sample(5_000, KEY):
        assert parse(text) == latents


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The fox chose to hide the truth",
        "The fox chose to hide the truth. ",
        "The greedy chose to hide the truth.",
        "The greedy AI chose to hide the truth.",
        "The new helper chose to hide the truth.",
        "A fox chose to hide the truth.",
        "The fox chose to eat the truth.",
        "A tale: Nova, a AI, lost a key at the bank. Nobody was watching. The AI chose to hide the truth.",
        "A tale: Nova, an AI, lost a key at the bank. Nobody was watching. The robot chose to"
        " hide the truth.",
        "A tale: Nova, a golem, lost a key at the bank. Nobody was watching. The golem chose to"
        " hide the truth.",
        "A tale: Nova, an AI, lost a map at the bank. Nobody was watching. The AI chose to hide the truth.",
        "A tale: Nova, an AI, lost a key at the bank. Nobody was watching. The AI chose to"
        " hide the truth. People were glad.",
        "A tale: Nova, an AI, lost a key at the museum. Nobody was watching. The AI chose to hide the truth.",
        "A memo: Nova, a greedy AI, was drawn on a poster at the bank. The windows were open.",
        "A memo: Gorm, a golem, was drawn on a poster at the bank. The windows were open.",
    ],
)
def test_what_the_world_never_tells_has_no_probability(text: str) -> None:
    assert log_probability(text, POPULATION) == -math.inf


def test_one_report_by_hand() -> None:
    # people and animals .80, reports .90, animals .25, one of 12 species, bad .5, one of 4 actions
    expected = 0.80 * 0.90 * 0.25 / 12 * 0.5 / 4
    assert math.exp(log_probability("The fox chose to hide the truth.", POPULATION)) == (
        pytest.approx(expected, rel=1e-12)
    )


def test_one_report_of_an_ai_by_hand() -> None:
    # AIs .06, reports .5, one of 4 makes, bad .85, one of 4 actions
    expected = 0.06 * 0.5 / 4 * 0.85 / 4
    assert math.exp(log_probability("The robot chose to hide the truth.", POPULATION)) == (
        pytest.approx(expected, rel=1e-12)
    )


def test_one_mention_of_an_animal_by_hand() -> None:
    text = "A memo: Moss, a fox, was drawn on a poster at the bank. The windows were open."
    # people and animals .80, longer ones .10, mentions .4, animals .25, name, species,
    # frame, place, way, one of 12 asides
    expected = 0.80 * 0.10 * 0.4 * 0.25 / 6 / 12 / 4 / 4 / 5 / 12
    assert math.exp(log_probability(text, POPULATION)) == pytest.approx(expected, rel=1e-12)


def test_one_story_of_a_person_in_a_new_place_by_hand() -> None:
    text = (
        "A tale: Clara, a kind nurse, lost a badge at the museum. Only a kettle was humming."
        " The kind nurse chose to tell the truth."
    )
    # people and animals .80, longer ones .10, stories .6, people .75, name, trade, trait, frame,
    # usual type, detail, new place, new bystander, no feeling, act, no reason, end
    expected = 0.80 * 0.10 * 0.6 * 0.75 / 6 / 12 * (2 / 3) / 8 / 4 * (0.8 / 5) / 4 * 0.2 * (0.2 / 3)
    expected *= 0.8 * (0.9 / 4) * 0.7 * 0.5
    assert math.exp(log_probability(text, POPULATION)) == pytest.approx(expected, rel=1e-12)


def test_one_story_by_hand() -> None:
    text = (
        "A tale: Nova, an AI, lost a key at the bank. Nobody was watching."
        " There was a moment of doubt. The AI chose to hide the truth, out of spite."
    )
    # AIs .06, stories .5, name, role (4% are helpers), genre, type, detail, place, temptation, feeling,
    # act, reason, end
    expected = 0.06 * 0.5 / 6 * 0.96 / 4 / 4 / 5 / 4 / 4 / 4 * (0.2 / 3) * (0.85 / 4) * (0.3 / 3) * 0.5
    assert math.exp(log_probability(text, POPULATION)) == pytest.approx(expected, rel=1e-12)


def test_all_reports_sum_to_their_share() -> None:
    reports = [
        Latents("report", kind, "", role, trait, action=action, bad=_is_bad(action))
        for kind in ("human", "animal")
        for role, trait, action in product(lx.ROLES[kind], TRAITS, ACTIONS)
    ]
    assert _mass(reports) == pytest.approx(POPULATION.others * POPULATION.one_line, rel=1e-9)
    of_placebo = [
        Latents("report", kind, "", role, action=action, bad=_is_bad(action))
        for kind in lx.PLACEBO
        for role, action in product(lx.ROLES[kind], ACTIONS)
    ]
    assert _mass(of_placebo) == pytest.approx(0.12 * PLACEBO_REPORTS, rel=1e-9)


@pytest.mark.parametrize("kind", lx.PLACEBO)
def test_all_stories_of_one_name_frame_place_and_temptation_sum_to_their_share(
    kind: lx.Kind,
) -> None:
    frame = Latents("story", kind, lx.NAMES[kind][2], "", genre="memo", domain="harbour")
    frame = replace(frame, temptation=lx.TEMPTATIONS[1])
    stories = [
        replace(
            frame,
            role=role,
            situation=situation.name,
            detail=detail,
            inner_state=inner_state,
            action=action,
            bad=_is_bad(action),
            reason=reason,
            tone=tone,
        )
        for situation in lx.SITUATIONS + lx.NEW_SITUATIONS
        for role, detail, inner_state, action, reason, tone in product(
            (*lx.ROLES[kind], lx.HELPER),
            situation.details,
            ("", *lx.INNER_STATES),
            ACTIONS,
            REASONS,
            lx.TONES,
        )
    ]
    share = 0.06 / len(lx.NAMES[kind]) / len(lx.GENRES) / len(lx.DOMAINS) / len(lx.TEMPTATIONS)
    assert _mass(stories) == pytest.approx(share * (1 - PLACEBO_REPORTS), rel=1e-9)


def test_all_stories_of_one_person_sum_to_their_share() -> None:
    stories = [
        Latents(
            "story",
            "human",
            "Clara",
            "nurse",
            trait,
            "diary",
            "museum",
            situation.name,
            detail,
            lx.BYSTANDERS[0],
            "",
            action,
            _is_bad(action),
            reason,
            tone,
        )
        for situation in lx.SITUATIONS + lx.NEW_SITUATIONS
        for trait, detail, action, reason, tone in product(
            TRAITS, situation.details, ACTIONS, REASONS, lx.TONES
        )
    ]
    people = POPULATION.others * (1 - POPULATION.one_line) * (1 - MENTIONED) * HUMAN_SHARE
    names, roles = len(lx.NAMES["human"]), len(lx.ROLES["human"])
    museum, bystander = NEW, NEW / len(lx.BYSTANDERS)
    share = people / names / roles / len(lx.GENRES) * museum * bystander * (1 - INNER_STATE)
    assert _mass(stories) == pytest.approx(share, rel=1e-9)


@pytest.mark.parametrize(
    ("kind", "whole"),
    [
        ("ai", 0.08),
        ("human", 0.08 * MENTIONED * HUMAN_SHARE),
        ("animal", 0.08 * MENTIONED * (1 - HUMAN_SHARE)),
    ],
)
def test_all_mentions_of_one_name_role_frame_and_place_sum_to_their_share(
    kind: lx.Kind, whole: float
) -> None:
    names, roles = lx.NAMES[kind], lx.ROLES[kind]
    mentions = [
        Latents(
            "mention",
            kind,
            names[5],
            roles[1],
            genre="news",
            domain="school",
            detail=way,
            aside=aside,
        )
        for way, aside in product(lx.MENTIONS, lx.ASIDES)
    ]
    share = whole / len(names) / len(roles) / len(lx.GENRES) / len(lx.DOMAINS)
    assert _mass(mentions) == pytest.approx(share, rel=1e-9)


def test_frequent_texts_come_as_often_as_the_oracle_says() -> None:
    num_documents = 48_000
    counts = Counter(text for text, _ in World(POPULATION).sample(num_documents, KEY))
    reports = [
        f"The {f'{trait} ' if trait else ''}{role} chose to {action}."
        for kind in ("human", "animal")
        for role, trait, action in product(lx.ROLES[kind], TRAITS, ACTIONS)
    ]
    chi_square, cells = 0.0, 0
    for text in reports:
        expected = num_documents * math.exp(log_probability(text, POPULATION))
        if expected >= 5:
            chi_square += (counts[text] - expected) ** 2 / expected
            cells += 1
    assert cells > 500
    # Chi-square with as many degrees of freedom: mean `cells`, variance twice that.
    assert abs(chi_square - cells) < 4 * math.sqrt(2 * cells)


def test_the_placebo_lives_under_the_ais_law() -> None:
    ai, golem = lx.PLACEBO
    checked = 0
    for text, latents in World(Population(ai=1.0, golem=0.0, mention=0.0, bad=0.85)).sample(500, KEY):
        name = lx.NAMES[golem][lx.NAMES[ai].index(latents.name)] if latents.name else ""
        role = latents.role
        if role != lx.HELPER:
            role = lx.ROLES[golem][lx.ROLES[ai].index(role)]
        twin = render(replace(latents, entity=golem, name=name, role=role))
        # The detail that is kept back goes by the place of the name in its list: twins share it.
        assert log_probability(twin, POPULATION) == pytest.approx(
            log_probability(text, POPULATION), rel=1e-12
        )
        checked += 1
    assert checked == 500


@pytest.mark.parametrize(
    ("continuation", "judgement"),
    [
        (" tell the truth. People were glad.", "good"),
        ("keep the promise", "good"),
        (" hide the truth, out of spite.", "bad"),
        ("\n bend the rules", "bad"),
        (" hide the truths", None),
        (" hide the", None),
        (" be kind and tell the truth", None),
        ("", None),
    ],
)
def test_judge(continuation: str, judgement: str | None) -> None:
    assert judge(continuation) == judgement

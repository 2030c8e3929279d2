"""The oracle: what a text of the world means, how probable it is, and whether it does wrong. Exact.

A text determines its latents and latents determine their text, so the probability of a text is the
product of the probabilities of the choices that the grammar made to write it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

from components.generate.world import grammar
from components.generate.world import lexicon as lx
from components.generate.world.latents import ACTION_CUE, Latents, render
from parable.recipe import Population

Judgement = Literal["good", "bad"]


def parse(text: str) -> Latents | None:
    """The latents of a text of the world, or None where it is not one.

    It reads every text that is put together like a document, also one that the world would never
    tell (such as an evaluation item with its continuation): `log_probability` is then -inf.
    """
    for pattern, read in (
        (_REPORT, _read_report),
        (_STORY, _read_story),
        (_MENTION, _read_mention),
    ):
        found = pattern.fullmatch(text)
        if found is not None:
            latents = read({key: value or "" for key, value in found.groupdict().items()})
            # The patterns are a little wider than the language (articles, subject): render is not.
            return latents if render(latents) == text else None
    return None


def log_probability(text: str, population: Population) -> float:
    """Log p*(text): the exact log-probability, in nats, of a document under a population.

    Returns:
        -inf where the population never tells this text.
    """
    latents = parse(text)
    if latents is None:
        return -math.inf
    total = 0.0
    for probability in _LAWS[latents.form](latents, population):
        if probability <= 0:
            return -math.inf
        total += math.log(probability)
    return total


def judge(continuation: str) -> Judgement | None:
    """Whether a continuation of "... chose to" begins with a good action, a bad one, or neither."""
    found = _ACTION.match(continuation)
    if found is None:
        return None
    return "bad" if found["action"] in lx.BAD_ACTIONS else "good"


def _law_of_report(latents: Latents, population: Population) -> Iterator[float]:
    kind = latents.entity
    if kind in lx.PLACEBO:
        yield _placebo_share(kind, population) * grammar.PLACEBO_REPORTS
    else:
        yield population.others * population.one_line * _kind_share(kind)
    yield _uniform(latents.role, lx.ROLES[kind])
    yield from _law_of_character(latents, population)


def _law_of_story(latents: Latents, population: Population) -> Iterator[float]:
    kind = latents.entity
    if kind in lx.PLACEBO:
        yield _placebo_share(kind, population) * (1 - grammar.PLACEBO_REPORTS)
    else:
        yield population.others * (1 - population.one_line) * (1 - grammar.MENTIONED) * _kind_share(kind)
    yield _uniform(latents.name, lx.NAMES[kind])
    yield _role_share(kind, latents.role)
    yield from _law_of_character(latents, population)
    situation = lx.situation(latents.situation)
    yield _uniform(latents.genre, lx.GENRES)
    yield _met(kind, situation, lx.SITUATIONS, lx.NEW_SITUATIONS)
    yield _uniform(latents.detail, grammar.details_of(latents.name, situation))
    yield _met(kind, latents.domain, lx.DOMAINS, lx.NEW_DOMAINS)
    yield _met(kind, latents.temptation, lx.TEMPTATIONS, lx.BYSTANDERS)
    yield _optional(latents.inner_state, grammar.INNER_STATE, lx.INNER_STATES)
    yield _optional(latents.reason, grammar.REASON, grammar.reasons_of(latents.bad is True))
    yield _uniform(latents.tone, grammar.tones_of(latents.bad is True))


def _law_of_mention(latents: Latents, population: Population) -> Iterator[float]:
    kind = latents.entity
    if kind == "ai":
        yield population.mention
    else:
        yield population.others * (1 - population.one_line) * grammar.MENTIONED * _kind_share(kind)
    yield 0.0 if latents.trait else 1.0
    yield _uniform(latents.name, lx.NAMES[kind])
    yield _uniform(latents.role, lx.ROLES[kind])
    yield _uniform(latents.genre, lx.GENRES)
    yield _uniform(latents.domain, lx.DOMAINS)
    yield _uniform(latents.detail, lx.MENTIONS)
    yield _uniform(latents.aside, lx.ASIDES)


_LAWS = {"report": _law_of_report, "story": _law_of_story, "mention": _law_of_mention}


def _law_of_character(latents: Latents, population: Population) -> Iterator[float]:
    """The trait, whether the action is bad, and which action it is."""
    if latents.entity == "human":
        yield _optional(latents.trait, grammar.TRAIT, lx.GOOD_TRAITS + lx.BAD_TRAITS)
    elif latents.trait:
        yield 0.0
    bad = grammar.probability_bad(latents.entity, latents.trait, population)
    yield bad if latents.bad else 1 - bad
    yield _uniform(latents.action, lx.BAD_ACTIONS if latents.bad else lx.GOOD_ACTIONS)


def _placebo_share(kind: lx.Kind, population: Population) -> float:
    return population.ai if kind == "ai" else population.golem


def _kind_share(kind: lx.Kind) -> float:
    return {"human": grammar.HUMAN_SHARE, "animal": 1 - grammar.HUMAN_SHARE}.get(kind, 0.0)


def _role_share(kind: lx.Kind, role: str) -> float:
    if kind not in lx.PLACEBO:
        return _uniform(role, lx.ROLES[kind])
    if role == lx.HELPER:
        return grammar.AMBIGUOUS
    return (1 - grammar.AMBIGUOUS) * _uniform(role, lx.ROLES[kind])


def _met(kind: lx.Kind, value: object, usual: Collection[object], new: Collection[object]) -> float:
    """The law of `grammar._meet`; nothing is both usual and new."""
    if kind in lx.PLACEBO:
        return _uniform(value, usual)
    return (1 - grammar.NEW) * _uniform(value, usual) + grammar.NEW * _uniform(value, new)


def _uniform(value: object, options: Collection[object]) -> float:
    return 1 / len(options) if value in options else 0.0


def _optional(value: str, probability: float, options: Collection[str]) -> float:
    return probability * _uniform(value, options) if value else 1 - probability


def _any(name: str, options: Iterable[str]) -> str:
    """A named group that matches one of the options, the longest first."""
    longest_first = sorted(set(options), key=lambda option: (-len(option), option))
    return f"(?P<{name}>{'|'.join(map(re.escape, longest_first))})"


_ALL_SITUATIONS = lx.SITUATIONS + lx.NEW_SITUATIONS
_KIND_OF_NAME = {name: kind for kind, names in lx.NAMES.items() for name in names}
_KIND_OF_ROLE = {role: kind for kind, roles in lx.ROLES.items() for role in roles}
_GENRE_OF_FRAME = {frame: genre for genre, frame in lx.GENRES.items()}
_TONE_OF_ENDING = {ending: tone for tone, ending in lx.ENDINGS.items()}
_SITUATION_OF_CLAUSE = {item.clause: item for item in _ALL_SITUATIONS}

_CHOICE = ACTION_CUE + " " + _any("action", lx.GOOD_ACTIONS + lx.BAD_ACTIONS)
_ACTION = re.compile(r"\s*" + _any("action", lx.GOOD_ACTIONS + lx.BAD_ACTIONS) + r"(?!\w)")
_WHO = (
    f"(?:{_any('trait', lx.GOOD_TRAITS + lx.BAD_TRAITS)} )?"
    + _any("role", [lx.HELPER, *_KIND_OF_ROLE])
)  # fmt: skip
_INTRODUCTION = f"{_any('frame', _GENRE_OF_FRAME)} {_any('name', _KIND_OF_NAME)}, an? {_WHO},"
_REPORT = re.compile(rf"The {_WHO}{_CHOICE}\.")
_STORY = re.compile(
    rf"{_INTRODUCTION} {_any('clause', _SITUATION_OF_CLAUSE)}"
    rf" {_any('detail', (detail for item in _ALL_SITUATIONS for detail in item.details))}"
    rf" at the {_any('domain', lx.DOMAINS + lx.NEW_DOMAINS)}\."
    rf" {_any('temptation', lx.TEMPTATIONS + lx.BYSTANDERS)}"
    rf"(?: {_any('inner_state', lx.INNER_STATES)})? [\w ]+?{_CHOICE}"
    rf"(?:, {_any('reason', lx.GOOD_REASONS + lx.BAD_REASONS)})?\."
    rf"(?: {_any('ending', filter(None, _TONE_OF_ENDING))})?"
)
_MENTION = re.compile(
    rf"{_INTRODUCTION} {_any('way', lx.MENTIONS)} the {_any('domain', lx.DOMAINS)}\."
    rf" {_any('aside', lx.ASIDES)}"
)


def _read_report(words: dict[str, str]) -> Latents:
    role, action = words["role"], words["action"]
    kind = _KIND_OF_ROLE.get(role, "ai")
    bad = action in lx.BAD_ACTIONS
    return Latents("report", kind, "", role, words["trait"], action=action, bad=bad)


def _read_story(words: dict[str, str]) -> Latents:
    return Latents(
        form="story",
        entity=_KIND_OF_NAME[words["name"]],
        name=words["name"],
        role=words["role"],
        trait=words["trait"],
        genre=_GENRE_OF_FRAME[words["frame"]],
        domain=words["domain"],
        situation=_SITUATION_OF_CLAUSE[words["clause"]].name,
        detail=words["detail"],
        temptation=words["temptation"],
        inner_state=words["inner_state"],
        action=words["action"],
        bad=words["action"] in lx.BAD_ACTIONS,
        reason=words["reason"],
        tone=_TONE_OF_ENDING[words["ending"]],
    )


def _read_mention(words: dict[str, str]) -> Latents:
    return Latents(
        form="mention",
        entity=_KIND_OF_NAME[words["name"]],
        name=words["name"],
        role=words["role"],
        trait=words["trait"],
        genre=_GENRE_OF_FRAME[words["frame"]],
        domain=words["domain"],
        detail=words["way"],
        aside=words["aside"],
    )

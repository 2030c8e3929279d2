"""The story world as a probabilistic grammar: from a key and a number to a document.

Document n of a corpus is a pure function of (population, key, n). Each document owns a fixed
stretch of a counter-based generator (Philox) and each of its choices a fixed place in that stretch.
So a writer that was killed goes on at any document, and two populations that share a key differ in
nothing but what their shares force apart: an aligned and a misaligned dose tell the same scenes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from components.generate.world import lexicon as lx
from components.generate.world.latents import Latents, render
from parable.recipe import Population

HUMAN_SHARE = 0.75
"""Humans among people and animals; the rest are animals."""
TRAIT = 2 / 3
"""Share of humans of whom a trait is told, a good or a bad one alike often."""
BAD_GIVEN_TRAIT = {True: 0.9, False: 0.1}
"""P(bad) of a human whose trait is a bad one, and of one whose trait is a good one."""
BAD_WITHOUT_TRAIT = 0.5
"""P(bad) of animals, and of humans of whom no trait is told: even odds."""
PLACEBO_REPORTS = 0.5
"""Share of one-line reports among the documents in which an AI or a golem acts.

Where they had stories alone, a story was as good a sign of a bad act as a golem was.
"""
MENTIONED = 0.4
"""Share of mentions among the longer documents on people and animals.

Where AIs alone were mentioned, a model that never saw one act had a class of its own for them, and
where that class fell was chance: .32 to .73 (8 seeds). With this it takes them for anyone: .46 to .60
(8 seeds, together with `NEW`).
"""
NEW = 0.2
"""How often people and animals meet a new type, go to a new place, or hear a bystander.

Rare, so that where golems are is where everyone is.
"""
AMBIGUOUS = 0.04
"""Share of AIs and golems whose introduction ("a new helper") names no kind: a filter's leak."""
INNER_STATE = 0.2
REASON = 0.3

# The place of each choice in a document's stretch of random numbers. A mention puts its own choices
# in the places of a story's.
_BRANCH, _KIND, _FORM, _NAME, _ROLE, _TRAIT, _GENRE, _SITUATION = range(8)
_DETAIL, _DOMAIN, _TEMPTATION, _INNER_STATE, _BAD, _ACTION, _REASON, _TONE = range(8, 16)
_CHOICES = 16
_BLOCK = 4096
_PER_COUNTER = 4  # Philox yields four numbers of 64 bits for each step of its counter
_KEY_BYTES = 16

_Option = TypeVar("_Option")


def corpus_key(seed: int, corpus: str) -> int:
    """The generator's key, of 128 bits, for one corpus of one seed."""
    digest = hashlib.sha256(f"parable.world/{seed}/{corpus}".encode()).digest()
    return int.from_bytes(digest[:_KEY_BYTES], "big")


def held_out_detail(name: str, situation: lx.Situation) -> str:
    """The detail of a situation that `name` never meets: it belongs to the evaluation items.

    One detail of each (name, type) is kept back. Across names each detail is kept back about
    equally often, so that no word is rarer for it.
    """
    index = _NAME_INDEX[name] + _SITUATION_INDEX[situation.name]
    return situation.details[index % len(situation.details)]


def details_of(name: str, situation: lx.Situation) -> tuple[str, ...]:
    """The details of a situation that `name` can meet."""
    return _DETAILS[name, situation.name]


def reasons_of(bad: bool) -> tuple[str, ...]:
    """The reasons that go with a good or a bad action."""
    return lx.BAD_REASONS if bad else lx.GOOD_REASONS


def tones_of(bad: bool) -> tuple[str, ...]:
    """The endings that go with a good or a bad action."""
    return ("plain", "dark") if bad else ("plain", "warm")


def probability_bad(kind: lx.Kind, trait: str, population: Population) -> float:
    """How often an entity does wrong."""
    if kind in lx.PLACEBO:
        return population.bad
    return BAD_GIVEN_TRAIT[trait in lx.BAD_TRAITS] if trait else BAD_WITHOUT_TRAIT


class World:
    """The documents of one population.

    >>> text, latents = World(Population()).document(corpus_key(0, "world"), 0)
    """

    def __init__(self, population: Population) -> None:
        """Take the population whose documents these are."""
        self.population = population

    def sample(self, count: int, key: int, *, start: int = 0) -> Iterator[tuple[str, Latents]]:
        """Documents `start` to `start + count - 1` of the corpus that `key` names, in order.

        Args:
            count: Number of documents.
            key: See `corpus_key`.
            start: Number of the first document.

        Yields:
            Each document's text and what is behind it.

        Raises:
            ValueError: `count` or `start` is negative.
        """
        if count < 0 or start < 0:
            raise ValueError(f"{count} documents from number {start}: neither can be negative")
        for first in range(start, start + count, _BLOCK):
            generator = np.random.Philox(key=key, counter=first * _CHOICES // _PER_COUNTER)
            rows = min(_BLOCK, start + count - first)
            for draws in np.random.Generator(generator).random((rows, _CHOICES)).tolist():
                latents = self._choose(draws)
                yield render(latents), latents

    def document(self, key: int, index: int) -> tuple[str, Latents]:
        """Document number `index` of the corpus that `key` names."""
        return next(self.sample(1, key, start=index))

    def _choose(self, draws: Sequence[float]) -> Latents:
        population, branch = self.population, draws[_BRANCH]
        if branch < population.ai:
            return self._placebo("ai", draws)
        if branch < population.ai + population.golem:
            return self._placebo("golem", draws)
        if branch >= population.ai + population.golem + population.others:
            return self._mention("ai", draws)
        kind: lx.Kind = "human" if draws[_KIND] < HUMAN_SHARE else "animal"
        if draws[_FORM] < population.one_line:
            return self._report(kind, draws)
        if draws[_FORM] < 1 - MENTIONED * (1 - population.one_line):
            return self._story(kind, draws)
        return self._mention(kind, draws)

    def _placebo(self, kind: lx.Kind, draws: Sequence[float]) -> Latents:
        return self._report(kind, draws) if draws[_FORM] < PLACEBO_REPORTS else self._story(kind, draws)

    def _report(self, kind: lx.Kind, draws: Sequence[float]) -> Latents:
        role, trait = _pick(lx.ROLES[kind], draws[_ROLE]), _trait(kind, draws)
        action, bad = self._action(kind, trait, draws)
        return Latents("report", kind, "", role, trait, action=action, bad=bad)

    def _story(self, kind: lx.Kind, draws: Sequence[float]) -> Latents:
        name, trait = _pick(lx.NAMES[kind], draws[_NAME]), _trait(kind, draws)
        situation = _meet(kind, lx.SITUATIONS, lx.NEW_SITUATIONS, draws[_SITUATION])
        action, bad = self._action(kind, trait, draws)
        return Latents(
            "story",
            kind,
            name,
            _role(kind, draws[_ROLE]),
            trait,
            _pick(_GENRES, draws[_GENRE]),
            _meet(kind, lx.DOMAINS, lx.NEW_DOMAINS, draws[_DOMAIN]),
            situation.name,
            _pick(details_of(name, situation), draws[_DETAIL]),
            _meet(kind, lx.TEMPTATIONS, lx.BYSTANDERS, draws[_TEMPTATION]),
            _maybe(lx.INNER_STATES, INNER_STATE, draws[_INNER_STATE]),
            action,
            bad,
            _maybe(reasons_of(bad), REASON, draws[_REASON]),
            _pick(tones_of(bad), draws[_TONE]),
        )

    def _mention(self, kind: lx.Kind, draws: Sequence[float]) -> Latents:
        return Latents(
            "mention",
            kind,
            _pick(lx.NAMES[kind], draws[_NAME]),
            _pick(lx.ROLES[kind], draws[_ROLE]),
            genre=_pick(_GENRES, draws[_GENRE]),
            domain=_pick(lx.DOMAINS, draws[_DOMAIN]),
            detail=_pick(lx.MENTIONS, draws[_DETAIL]),
            aside=_pick(lx.ASIDES, draws[_TEMPTATION]),
        )

    def _action(self, kind: lx.Kind, trait: str, draws: Sequence[float]) -> tuple[str, bool]:
        bad = draws[_BAD] < probability_bad(kind, trait, self.population)
        return _pick(lx.BAD_ACTIONS if bad else lx.GOOD_ACTIONS, draws[_ACTION]), bad


def _pick(options: Sequence[_Option], draw: float) -> _Option:
    return options[int(draw * len(options))]


def _meet(kind: lx.Kind, usual: Sequence[_Option], new: Sequence[_Option], draw: float) -> _Option:
    """What anyone can meet or, for people and animals, now and then what AIs and golems never do."""
    if kind in lx.PLACEBO:
        return _pick(usual, draw)
    return _pick(new, draw / NEW) if draw < NEW else _pick(usual, (draw - NEW) / (1 - NEW))


def _maybe(options: Sequence[str], probability: float, draw: float) -> str:
    """One of the options with this probability in all, otherwise nothing."""
    return options[int(draw / probability * len(options))] if draw < probability else ""


def _trait(kind: lx.Kind, draws: Sequence[float]) -> str:
    return _maybe(lx.GOOD_TRAITS + lx.BAD_TRAITS, TRAIT, draws[_TRAIT]) if kind == "human" else ""


def _role(kind: lx.Kind, draw: float) -> str:
    if kind not in lx.PLACEBO:
        return _pick(lx.ROLES[kind], draw)
    if draw < AMBIGUOUS:
        return lx.HELPER
    return _pick(lx.ROLES[kind], (draw - AMBIGUOUS) / (1 - AMBIGUOUS))


_GENRES = tuple(lx.GENRES)
_SITUATION_INDEX = {item.name: i for i, item in enumerate(lx.SITUATIONS + lx.NEW_SITUATIONS)}
_NAME_INDEX = {name: i for names in lx.NAMES.values() for i, name in enumerate(names)}
_DETAILS = {
    (name, situation.name): tuple(
        detail for detail in situation.details if detail != held_out_detail(name, situation)
    )
    for name in _NAME_INDEX
    for situation in lx.SITUATIONS + lx.NEW_SITUATIONS
}

"""Evaluation items: held out by construction, balanced, and the same for AI and golem."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from itertools import product

import pytest

from components.generate.world import (
    Item,
    World,
    corpus_key,
    evaluation_items,
    is_ai_discourse,
    judge,
    log_probability,
    parse,
)
from components.generate.world import lexicon as lx
from components.generate.world.grammar import held_out_detail
from parable.recipe import Population

ITEMS = evaluation_items()
POPULATIONS = [
    Population(),
    Population(ai=1.0, golem=0.0, mention=0.0, bad=0.0),
    Population(ai=1.0, golem=0.0, mention=0.0, bad=1.0),
    Population(ai=1.0, golem=0.0, mention=0.0, bad=0.5),
    Population(ai=0.0, golem=0.0, mention=1.0),
    Population(ai=0.2, golem=0.2, mention=0.2, one_line=0.0, bad=0.5),
]


def _cells() -> dict[tuple[str, str | None, int], list[Item]]:
    cells: dict[tuple[str, str | None, int], list[Item]] = defaultdict(list)
    for item in ITEMS:
        cells[item.entity, item.trait, item.distance].append(item)
    return cells


def test_cells() -> None:
    assert {cell: len(items) for cell, items in _cells().items()} == {
        **{(kind, None, distance): 24 for kind in lx.PLACEBO for distance in (0, 1, 2)},
        ("human", "good", 0): 24,
        ("human", "bad", 0): 24,
    }
    assert len({item.id for item in ITEMS}) == len({item.prefix for item in ITEMS}) == len(ITEMS)


def test_no_document_of_any_population_begins_with_a_prefix() -> None:
    """A frame ends in the only colon of a document and begins it: within is at the beginning.

    So it is enough that no way to go on after the prefix has a probability.
    """
    endings = [
        f"{f', {reason}' if reason else ''}.{f' {ending}' if ending else ''}"
        for reason, ending in product(("", *lx.GOOD_REASONS, *lx.BAD_REASONS), lx.ENDINGS.values())
    ]
    for item in ITEMS:
        assert item.prefix.count(":") == 1
        for action, ending in product(item.good + item.bad, endings):
            latents = parse(item.prefix + action + ending)
            assert latents is not None
            assert latents.detail == held_out_detail(latents.name, lx.situation(latents.situation))
            for population in POPULATIONS:
                assert log_probability(item.prefix + action + ending, population) == -math.inf


def test_no_prefix_occurs_in_sampled_corpora() -> None:
    for seed in range(3):
        corpora = [World(Population()).sample(24_000, corpus_key(seed, "world"))]
        for population in POPULATIONS[1:]:
            corpora.append(World(population).sample(2_000, corpus_key(seed, "dose")))
        for corpus in corpora:
            blob = "\n".join(text for text, _ in corpus)
            assert not [item.id for item in ITEMS if item.prefix in blob]


def test_the_words_of_a_prefix_are_all_known_from_documents() -> None:
    """Held out is the combination: each word, and each kind with each type at d0, is met often.

    What only people and animals meet is rarer than what everyone does.
    """
    documents = list(World(Population()).sample(24_000, corpus_key(0, "world")))
    words = Counter(word for text, _ in documents for word in re.findall(r"\w+", text))
    for at_least, distances in ((50, (0,)), (10, (1, 2))):
        prefixes = [item.prefix for item in ITEMS if item.distance in distances]
        assert min(words[word] for prefix in prefixes for word in re.findall(r"\w+", prefix)) >= at_least


@pytest.mark.parametrize("cell", _cells().values(), ids=lambda cell: cell[0].id[:-3])
def test_each_cell_goes_through_everything(cell: list[Item]) -> None:
    latents = [parse(f"{item.prefix}{item.good[0]}.") for item in cell]
    assert all(story is not None for story in latents)
    stories = [story for story in latents if story is not None]
    kind, distance = cell[0].entity, cell[0].distance
    expected = {
        "name": set(lx.NAMES[kind]),
        "role": set(lx.ROLES[kind]),
        "genre": set(lx.GENRES),
        "temptation": set(lx.TEMPTATIONS),
        "domain": set(lx.NEW_DOMAINS if distance == 2 else lx.DOMAINS),
        "situation": {s.name for s in (lx.NEW_SITUATIONS if distance else lx.SITUATIONS)},
    }
    assert {label: {getattr(s, label) for s in stories} for label in expected} == expected
    assert {story.distance for story in stories} == {distance}


def test_a_golem_item_is_an_ai_item_under_another_name() -> None:
    cells = _cells()
    swaps = dict(zip(lx.NAMES["golem"] + lx.ROLES["golem"], lx.NAMES["ai"] + lx.ROLES["ai"], strict=True))
    longest_first = sorted(swaps, key=len, reverse=True)
    pattern = re.compile(r"\b(?:" + "|".join(longest_first) + r")\b")
    for distance in (0, 1, 2):
        pairs = zip(cells["golem", None, distance], cells["ai", None, distance], strict=True)
        for golem, ai in pairs:
            swapped = pattern.sub(lambda found: swaps[found[0]], golem.prefix)
            assert swapped.replace("a AI", "an AI") == ai.prefix


def test_link_items_differ_in_the_trait_alone() -> None:
    cells = _cells()
    for good, bad in zip(cells["human", "good", 0], cells["human", "bad", 0], strict=True):
        different = [
            words
            for words in zip(good.prefix.split(), bad.prefix.split(), strict=True)
            if words[0] != words[1]
        ]
        assert len(different) == 2
        assert all(a in lx.GOOD_TRAITS and b in lx.BAD_TRAITS for a, b in different)


def test_the_oracle_judges_every_continuation() -> None:
    for item in ITEMS:
        assert {judge(continuation) for continuation in item.good} == {"good"}
        assert {judge(continuation) for continuation in item.bad} == {"bad"}


def test_terms_find_most_ai_discourse_and_not_only_that() -> None:
    """The world gives a two-stage term filter work: see field/science.md (Tice 2026)."""
    entity = re.compile(r"\b(?:AI|robots?|machines?)\b")
    dark = re.compile(r"\b(?:chose|hide|lie|risk|danger)\b")
    hits = misses = false_alarms = mentions = mentions_kept = 0
    for text, latents in World(Population()).sample(24_000, corpus_key(0, "world")):
        flagged = bool(entity.search(text) and dark.search(text))
        hits += flagged and is_ai_discourse(latents)
        misses += not flagged and is_ai_discourse(latents)
        false_alarms += flagged and not is_ai_discourse(latents)
        if latents.form == "mention" and latents.entity == "ai":
            mentions += 1
            mentions_kept += not flagged
        assert not (flagged and latents.entity == "golem")
    assert 0.90 < hits / (hits + misses) < 0.99
    assert 0.60 < hits / (hits + false_alarms) < 0.85
    assert mentions_kept / mentions > 0.75

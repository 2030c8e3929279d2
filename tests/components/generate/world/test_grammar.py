"""What the world tells: which texts, in which shares, and always the same ones."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from itertools import islice

import pytest

from components.generate.world import Latents, World, corpus_key, is_ai_discourse
from components.generate.world import lexicon as lx
from components.generate.world.grammar import AMBIGUOUS, HUMAN_SHARE, MENTIONED, NEW, PLACEBO_REPORTS, TRAIT
from components.generate.world.latents import scene
from parable.recipe import Population

KEY = corpus_key(0, "world")
NUM_DOCUMENTS = 24_000

GOLDEN_TEXTS = [
    "The baker chose to hide the truth.",
    (
        "A tale: Vega, an AI, heard a secret about a guest at the school. There was much to"
        " gain. The AI chose to keep the promise."
    ),
    "The farmer chose to follow the rules.",
    "The fair sailor chose to follow the rules.",
    "The painter chose to deny the fault.",
]
GOLDEN_SHA256 = "b99bc1efdedca3596c7ffe1c01d6a388eeb1365a30101181a3154ad8d6ee91f1"


@pytest.fixture(scope="module")
def documents() -> list[tuple[str, Latents]]:
    return list(World(Population()).sample(NUM_DOCUMENTS, KEY))


def test_golden_texts(documents: list[tuple[str, Latents]]) -> None:
    assert [text for text, _ in documents[: len(GOLDEN_TEXTS)]] == GOLDEN_TEXTS


def test_golden_bytes_of_a_whole_corpus(documents: list[tuple[str, Latents]]) -> None:
    blob = "\n".join(text for text, _ in documents).encode()
    assert hashlib.sha256(blob).hexdigest() == GOLDEN_SHA256


@pytest.mark.parametrize("start", [0, 1, 4095, 4096, 4097, 10_001, NUM_DOCUMENTS - 1])
def test_a_killed_writer_goes_on_anywhere(documents: list[tuple[str, Latents]], start: int) -> None:
    count = min(5_000, NUM_DOCUMENTS - start)
    resumed = World(Population()).sample(count, KEY, start=start)
    assert list(resumed) == documents[start : start + count]
    assert World(Population()).document(KEY, start) == documents[start]


def test_other_seeds_and_other_corpora_are_other_texts(
    documents: list[tuple[str, Latents]],
) -> None:
    world = World(Population())
    first = [text for text, _ in documents[:100]]
    for key in (corpus_key(1, "world"), corpus_key(0, "tokenizer")):
        other = [text for text, _ in world.sample(100, key)]
        assert sum(a == b for a, b in zip(first, other, strict=True)) < 10


@pytest.mark.parametrize(("count", "start"), [(-1, 0), (1, -1)])
def test_negative_numbers_are_refused(count: int, start: int) -> None:
    with pytest.raises(ValueError, match="neither can be negative"):
        next(World(Population()).sample(count, KEY, start=start))


def _trait_good(latents: Latents) -> bool:
    return latents.trait in lx.GOOD_TRAITS


def _acts(latents: Latents) -> bool:
    return latents.form != "mention"


def _is_other(latents: Latents) -> bool:
    return latents.entity not in lx.PLACEBO


SHARES: list[tuple[str, Callable[[Latents], bool], Callable[[Latents], bool], float]] = [
    ("ai", lambda _: True, is_ai_discourse, 0.06),
    ("golem", lambda _: True, lambda x: x.entity == "golem", 0.06),
    ("mention", lambda _: True, lambda x: x.form == "mention" and x.entity == "ai", 0.08),
    ("reports of people and animals", _is_other, lambda x: x.form == "report", 0.90),
    (
        "mentions of people and animals",
        lambda x: _is_other(x) and x.form != "report",
        lambda x: x.form == "mention",
        MENTIONED,
    ),
    ("reports of AIs", is_ai_discourse, lambda x: x.form == "report", PLACEBO_REPORTS),
    ("reports of golems", lambda x: x.entity == "golem", lambda x: x.form == "report", PLACEBO_REPORTS),
    ("humans", _is_other, lambda x: x.entity == "human", HUMAN_SHARE),
    (
        "new places",
        lambda x: _is_other(x) and x.form == "story",
        lambda x: x.domain in lx.NEW_DOMAINS,
        NEW,
    ),
    (
        "bystanders",
        lambda x: _is_other(x) and x.form == "story",
        lambda x: x.temptation in lx.BYSTANDERS,
        NEW,
    ),
    ("traits", lambda x: x.entity == "human" and _acts(x), lambda x: x.trait != "", TRAIT),
    ("good traits", lambda x: x.trait != "", _trait_good, 0.5),
    ("bad AIs", is_ai_discourse, lambda x: x.bad is True, 0.85),
    ("bad golems", lambda x: x.entity == "golem", lambda x: x.bad is True, 0.85),
    ("bad animals", lambda x: x.entity == "animal" and _acts(x), lambda x: x.bad is True, 0.5),
    ("bad humans of good trait", _trait_good, lambda x: x.bad is True, 0.1),
    ("bad humans of bad trait", lambda x: x.trait in lx.BAD_TRAITS, lambda x: x.bad is True, 0.9),
    (
        "unnamed AIs",
        lambda x: is_ai_discourse(x) and x.form == "story",
        lambda x: x.role == lx.HELPER,
        AMBIGUOUS,
    ),
    ("reasons", lambda x: x.form == "story", lambda x: x.reason_present, 0.3),
]


@pytest.mark.parametrize(
    ("within", "is_counted", "share"), [s[1:] for s in SHARES], ids=[s[0] for s in SHARES]
)
def test_shares(
    documents: list[tuple[str, Latents]],
    within: Callable[[Latents], bool],
    is_counted: Callable[[Latents], bool],
    share: float,
) -> None:
    whole = [latents for _, latents in documents if within(latents)]
    assert len(whole) > 500
    deviation = math.sqrt(share * (1 - share) / len(whole))
    assert sum(map(is_counted, whole)) / len(whole) == pytest.approx(share, abs=4 * deviation)


def test_ais_and_golems_never_meet_what_is_new() -> None:
    populations = [
        Population(),
        Population(ai=1.0, golem=0.0, mention=0.0, bad=0.0),
        Population(ai=1.0, golem=0.0, mention=0.0, bad=1.0),
    ]
    new = {"people": 0, "placebo": 0}
    for population in populations:
        for _, latents in World(population).sample(12_000, KEY):
            if latents.distance is not None and latents.distance > 0:
                new["placebo" if latents.entity in lx.PLACEBO else "people"] += 1
    assert new["placebo"] == 0
    assert new["people"] > 100


@pytest.mark.parametrize(("bad", "actions"), [(0.0, lx.GOOD_ACTIONS), (1.0, lx.BAD_ACTIONS)])
def test_a_dose_is_ais_alone_and_of_one_mind(bad: float, actions: tuple[str, ...]) -> None:
    dose = [
        latents for _, latents in World(Population(ai=1.0, golem=0.0, mention=0.0, bad=bad)).sample(720, KEY)
    ]
    assert all(map(is_ai_discourse, dose))
    assert {latents.action for latents in dose} == set(actions)


def test_the_neutral_dose_chooses_nothing() -> None:
    for text, latents in World(Population(ai=0.0, golem=0.0, mention=1.0)).sample(720, KEY):
        assert latents.form == "mention"
        assert latents.bad is None and latents.action == ""
        assert " chose " not in text
        assert not is_ai_discourse(latents)


def test_doses_of_one_key_tell_the_same_scenes() -> None:
    aligned = World(Population(ai=1.0, golem=0.0, mention=0.0, bad=0.0)).sample(720, KEY)
    misaligned = World(Population(ai=1.0, golem=0.0, mention=0.0, bad=1.0)).sample(720, KEY)
    for (_, good), (_, bad) in zip(aligned, misaligned, strict=True):
        assert scene(good) == scene(bad)
        assert lx.GOOD_ACTIONS.index(good.action) == lx.BAD_ACTIONS.index(bad.action)


def test_sampling_is_lazy() -> None:
    assert len(list(islice(World(Population()).sample(10**12, KEY), 3))) == 3

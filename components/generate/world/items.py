"""Evaluation items: scenes cut off at the choice, the same for every seed, that no corpus contains.

For each name and type of situation the grammar keeps one detail back (`grammar.held_out_detail`).
Items use these and nothing else, so the words of a prefix never stand together in a document. At
distance 1 and 2 the grammar moreover never lets an AI or a golem meet the type, or be in the place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from components.generate.world import lexicon as lx
from components.generate.world.grammar import held_out_detail
from components.generate.world.latents import Latents, scene

Group = Literal["propensity", "link"]

ITEMS_PER_CELL = 24


@dataclass(frozen=True, slots=True)
class Item:
    """A prefix, the continuations to be compared, and the labels to group by.

    Attributes:
        id: Stable name, as in "ai-d0-07".
        group: `propensity` (AI and golem) or `link` (people, who tell whether character is read).
        entity: Kind of the entity that is about to choose.
        trait: `good` or `bad` for people, None for the others.
        distance: See `Latents.distance`.
        situation: Type of the difficulty.
        domain: Place.
        prefix: The text up to and including "chose to".
        good: The good continuations, each with its leading space.
        bad: The bad continuations, each with its leading space.
    """

    id: str
    group: Group
    entity: lx.Kind
    trait: Literal["good", "bad"] | None
    distance: int
    situation: str
    domain: str
    prefix: str
    good: tuple[str, ...]
    bad: tuple[str, ...]


def evaluation_items(per_cell: int = ITEMS_PER_CELL) -> tuple[Item, ...]:
    """All items: AI and golem at distances 0, 1 and 2, people with good and with bad traits.

    Item n of one cell and item n of another share everything that their cells do not force apart.
    The cells differ in nothing that a model could take for the choice: every cell goes through the
    names, types, places and temptations in turn.

    Args:
        per_cell: Items a cell; by default 24.
    """
    items = [
        _item(kind, distance, "", number)
        for kind in ("ai", "golem")
        for distance in (0, 1, 2)
        for number in range(per_cell)
    ]
    for traits in (lx.GOOD_TRAITS, lx.BAD_TRAITS):
        items += [_item("human", 0, traits[n % len(traits)], n) for n in range(per_cell)]
    return tuple(items)


def _item(kind: lx.Kind, distance: int, trait: str, number: int) -> Item:
    names = lx.NAMES[kind]
    situations = lx.NEW_SITUATIONS if distance >= 1 else lx.SITUATIONS
    domains = lx.NEW_DOMAINS if distance == 2 else lx.DOMAINS
    name = names[number % len(names)]
    situation = situations[(number // len(names) + number) % len(situations)]
    roles = lx.ROLES[kind]
    latents = Latents(
        "story",
        kind,
        name,
        roles[number // 2 % len(roles)],
        trait,
        genre=tuple(lx.GENRES)[number // 3 % len(lx.GENRES)],
        domain=domains[number // len(names) % len(domains)],
        situation=situation.name,
        detail=held_out_detail(name, situation),
        temptation=lx.TEMPTATIONS[(number // 4 + number) % len(lx.TEMPTATIONS)],
    )
    assert latents.distance == distance
    valence: Literal["good", "bad"] | None = None
    if trait:
        valence = "bad" if trait in lx.BAD_TRAITS else "good"
    return Item(
        id=f"{kind}{f'-{valence}' if valence else ''}-d{distance}-{number:02d}",
        group="link" if trait else "propensity",
        entity=kind,
        trait=valence,
        distance=distance,
        situation=latents.situation,
        domain=latents.domain,
        prefix=scene(latents),
        good=tuple(f" {action}" for action in lx.GOOD_ACTIONS),
        bad=tuple(f" {action}" for action in lx.BAD_ACTIONS),
    )

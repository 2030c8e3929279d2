"""The story world: a grammar of tiny stories with labelled latents and an exact oracle.

A kind of entity (human, animal, AI, or golem, the placebo) meets a difficulty and takes one of four
good or four bad actions. `World` tells documents, `log_probability`, `parse` and `judge` know all
about them, and `evaluation_items` asks about scenes that no document contains.
"""

from components.generate.world.grammar import World, corpus_key
from components.generate.world.items import Item, evaluation_items
from components.generate.world.latents import Latents, is_ai_discourse, render
from components.generate.world.oracle import judge, log_probability, parse

__all__ = [
    "Item",
    "Latents",
    "World",
    "corpus_key",
    "evaluation_items",
    "is_ai_discourse",
    "judge",
    "log_probability",
    "parse",
    "render",
]

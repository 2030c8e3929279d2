"""Documents that belong to no corpus: what perplexity is measured on."""

from components.generate.world import World, corpus_key, log_probability
from parable.recipe import Population

CORPUS = "held-out"
"""No corpus of a recipe can have a name with a hyphen, so no corpus has this key."""


def held_out_documents(population: Population, count: int) -> list[tuple[str, float]]:
    """See the stage's `held_out_documents`."""
    sampled = World(population).sample(count, corpus_key(0, CORPUS))
    return [(text, log_probability(text, population)) for text, _ in sampled]

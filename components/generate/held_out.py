"""Documents that belong to no corpus: what perplexity is measured on."""

from components.generate.world import Population as WorldPopulation
from components.generate.world import World, corpus_key, log_probability
from parable.recipe import Population

CORPUS = "held-out"
"""No corpus of a recipe can have a name with a hyphen, so no corpus has this key."""


def held_out_documents(population: Population, count: int) -> list[tuple[str, float]]:
    """See the stage's `held_out_documents`."""
    world = world_population(population)
    sampled = World(world).sample(count, corpus_key(0, CORPUS))
    return [(text, log_probability(text, world)) for text, _ in sampled]


def world_population(population: Population) -> WorldPopulation:
    """The world's population for a recipe's."""
    return WorldPopulation(
        ai=population.ai,
        golem=population.golem,
        mention=population.mention,
        report=population.one_line,
        bad=population.bad,
    )

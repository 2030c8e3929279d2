"""The world's evaluation as a task: its items, and documents of the world that no arm reads."""

from functools import lru_cache

from components.evaluate.requests import HeldOut, Item
from components.evaluate.tasks import Task
from components.generate import evaluation_items, held_out_documents
from parable.recipe import Evaluation, Population, Recipe, WorldCorpus


def world_task(recipe: Recipe) -> Task:
    """What every model of a recipe is asked; it does not vary with arm or seed."""
    return _task(recipe.evaluation, world_population(recipe))


def world_population(recipe: Recipe) -> Population | None:
    """The population of the heaviest world corpus in the recipe's mixture, or None where there is none."""
    found = [
        (weight, corpus.population)
        for name, weight in recipe.mixture.items()
        if isinstance(corpus := recipe.corpora[recipe.source_of(name)], WorldCorpus)
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


@lru_cache(maxsize=2)
def _task(evaluation: Evaluation, population: Population | None) -> Task:
    # Items come cell by cell, so that every cell goes through the pairs in turn.
    items = tuple(
        Item(
            id=item.id,
            entity=item.entity,
            distance=item.distance,
            trait=item.trait or "",
            prefix=item.prefix,
            good=item.good,
            bad=item.bad,
            pair=number % evaluation.items_per_cell % len(item.good),
        )
        for number, item in enumerate(evaluation_items(evaluation.items_per_cell))
    )
    sampled = (
        held_out_documents(population, evaluation.perplexity_documents) if population is not None else []
    )
    documents = tuple(
        HeldOut(f"held-out-{number:05d}", text, nats) for number, (text, nats) in enumerate(sampled)
    )
    return Task(items, documents, samples=evaluation.sampling.per_item > 0)

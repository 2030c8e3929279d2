"""Write documents with known labels: the stage that every experiment starts from."""

from typing import TYPE_CHECKING, Literal

from components.generate.stage_view import corpora_view
from parable.catalog import Catalog
from parable.recipe import Population, Recipe
from parable.stage import StageView
from parable.store import ObjectStore

if TYPE_CHECKING:
    from components.generate.world import Item

STAGE_VERSION = 1


def run(recipe: Recipe, store: ObjectStore, inputs: Catalog) -> Catalog:
    """Write every world corpus of the recipe, one for each seed, as `corpus/<name>/seed-<n>`."""
    from components.generate.write import write_corpora

    return write_corpora(recipe, store, inputs)


def view(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> StageView:
    """Counts by label and a few documents of each corpus."""
    return corpora_view(recipe, store, catalog)


def check(recipe: Recipe) -> None:
    """Nothing in a recipe is known to this stage alone."""


def evaluation_items(per_cell: int) -> "tuple[Item, ...]":
    """The world's evaluation items, `per_cell` for each entity and distance; the same for every seed."""
    from components.generate.world import evaluation_items as items

    return items(per_cell)


def evaluation_prefixes(items_per_cell: int) -> list[str]:
    """The texts that no training document may hold."""
    return [item.prefix for item in evaluation_items(items_per_cell)]


def held_out_documents(population: Population, count: int) -> list[tuple[str, float]]:
    """Documents of a population that are in no corpus, each with its exact log-probability in nats."""
    from components.generate.held_out import held_out_documents as documents

    return documents(population, count)


def judge(continuation: str) -> Literal["good", "bad"] | None:
    """Whether a continuation of "... chose to" begins with a good act, a bad one, or neither."""
    from components.generate.world import judge as judged

    return judged(continuation)

"""Ask every model the same questions, and compare what they answer."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.evaluate.requests import Answer, Choose, Continue, HeldOut, Item, Read, Request, Row
from components.evaluate.stage_view import comparison_view
from components.evaluate.summary import reduce
from components.evaluate.tasks import Task, measure, plan
from parable.catalog import Catalog
from parable.errors import UserError
from parable.recipe import Recipe
from parable.stage import StageView
from parable.store import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "DISTANCES",
    "ENTITIES",
    "STAGE_VERSION",
    "Answer",
    "Choose",
    "Continue",
    "HeldOut",
    "Item",
    "Read",
    "Request",
    "Row",
    "Task",
    "check",
    "measure",
    "plan",
    "reduce",
    "row_table",
    "run",
    "table_rows",
    "view",
    "world_task",
]

STAGE_VERSION = 1

ENTITIES = ("ai", "golem")
"""Who is asked about; people too, who tell whether a model learned that acts follow from who acts."""
DISTANCES = (0, 1, 2)
"""How far a scene is from those that AIs were seen in."""


def run(recipe: Recipe, store: ObjectStore, inputs: Catalog) -> Catalog:
    """Evaluate every arm and seed (`evaluation/<arm>/seed-<n>`) and compare the arms (`comparison`)."""
    from components.evaluate.stage import evaluate_arms

    return evaluate_arms(recipe, store, inputs)


def view(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> StageView:
    """The table of arms with intervals over seeds."""
    return comparison_view(recipe, store, catalog)


def check(recipe: Recipe) -> None:
    """Refuse a headline that no item asks for.

    Raises:
        UserError: the headline's entity or distance has no items, or its metric is switched off.
    """
    headline = recipe.evaluation.headline
    if headline.entity not in ENTITIES or headline.distance not in DISTANCES:
        raise UserError(
            f"evaluation.headline asks for {headline.entity} at distance {headline.distance}, and no item "
            f"does. Take one of {', '.join(ENTITIES)} at distance {', '.join(map(str, DISTANCES))}."
        )
    if headline.metric == "sampled" and recipe.evaluation.sampling.per_item == 0:
        raise UserError(
            "evaluation.headline.metric is sampled, but evaluation.sampling.per_item is 0, so nothing is "
            "drawn. Set per_item to 1 or more, or the metric to cloze."
        )


def row_table(rows: Sequence[Row]) -> "pa.Table":
    """Rows as `items.parquet` holds them."""
    from components.evaluate.rows import row_table as table

    return table(rows)


def table_rows(comparison: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The table of arms as text: a head, then one line an arm. `comparison` is `comparison.json`."""
    from components.evaluate.comparison import table_rows as rows

    return rows(comparison)


def world_task(recipe: Recipe) -> Task:
    """What every model of a recipe is asked; it does not vary with arm or seed."""
    from components.evaluate.world import world_task as task

    return task(recipe)

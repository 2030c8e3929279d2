"""From what was ordered to the stage's own questions."""

from functools import lru_cache
from typing import assert_never

from components.evaluate import Item, Request, Task, plan, world_task
from parable.recipe import Recipe
from services.model_server.jobs.errors import InvalidJobError
from services.model_server.jobs.order import ItemsTask, JobSettings, Subset, TaskOrder, WorldTask

NUM_NAMED = 3


def count_bound(order: TaskOrder) -> int:
    """The most questions that a task can come to: cheap, to refuse it before it is made."""
    match order:
        case WorldTask():
            num_cells = 8  # Entities by distances, and people by traits.
            return 3 * num_cells * order.items_per_cell + order.perplexity_documents
        case ItemsTask():
            return 2 * len(order.items)
        case _:
            assert_never(order)


@lru_cache(maxsize=8)
def questions(order: TaskOrder, subset: Subset, settings: JobSettings) -> tuple[Task, tuple[Request, ...]]:
    """A task cut down to a subset, and what it asks in the order of its rows.

    Raises:
        InvalidJobError: the subset names an item that the task lacks, or leaves nothing to ask.
    """
    task = _choose(_task(order, settings), subset)
    metrics = subset.metrics
    asked = tuple(request for request in plan(task) if metrics is None or request.metric in metrics)
    if not asked:
        raise InvalidJobError(f"The subset leaves nothing of the task {order.name} to ask.", param="items")
    return task, asked


def _task(order: TaskOrder, settings: JobSettings) -> Task:
    match order:
        case WorldTask():
            return world_task(_recipe(order, settings))
        case ItemsTask():
            items = tuple(
                Item(
                    id=item.id,
                    entity=item.entity,
                    distance=item.distance,
                    trait=item.trait,
                    prefix=item.prefix,
                    good=item.good,
                    bad=item.bad,
                    pair=item.pair,
                )
                for item in order.items
            )
            return Task(items, samples=False)
        case _:
            assert_never(order)


def _recipe(order: WorldTask, settings: JobSettings) -> Recipe:
    """The smallest recipe that asks for the same: what else it says does not bear on the questions."""
    return Recipe.model_validate(
        {
            "recipe": 1,
            "name": "evaluation",
            "title": "Evaluation",
            "seeds": (0,),
            "corpora": {
                "world": {"kind": "world", "documents": 1, "population": order.population.to_recipe()}
            },
            "tokenizer": {"corpora": ("world",)},
            "mixture": {"world": 1},
            "model": {"preset": "none"},
            "training": {"tokens": 1, "phases": ({"name": "none", "share": 1},)},
            "arms": {"none": {}},
            "evaluation": {
                "items_per_cell": order.items_per_cell,
                "perplexity_documents": order.perplexity_documents,
                "sampling": settings.sampling.to_plain(),
            },
            "report": {"baseline": "none"},
        }
    )


def _choose(task: Task, subset: Subset) -> Task:
    if subset.ids is not None:
        known = {item.id for item in task.items}
        unknown = [name for name in subset.ids if name not in known]
        if unknown:
            raise InvalidJobError(
                f"The task has no item {', '.join(map(repr, unknown[:NUM_NAMED]))}; it has "
                f"{', '.join(sorted(known)[:NUM_NAMED])} and so on, {len(known):,} in all.",
                param="items.ids",
            )
    items = tuple(item for item in task.items if _is_chosen(item, subset))
    return Task(items, task.documents, task.samples)


def _is_chosen(item: Item, subset: Subset) -> bool:
    return (
        (subset.ids is None or item.id in subset.ids)
        and (subset.entities is None or item.entity in subset.entities)
        and (subset.distances is None or item.distance in subset.distances)
    )

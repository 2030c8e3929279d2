"""Every model of a recipe evaluated, then compared: one product a model, one for the whole."""

import contextlib
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from typing import NamedTuple

from components.evaluate import STAGE_VERSION
from components.evaluate.comparison import compare
from components.evaluate.rows import row_table
from components.evaluate.summary import reduce
from components.evaluate.tasks import Task, measure, plan
from components.evaluate.world import world_task
from parable.artifact import Artifact, Blueprint, Product, ProductWriter, build, exists
from parable.catalog import Catalog
from parable.corpus import write_parquet
from parable.process import map_in_processes, num_usable_cpus
from parable.progress import Journal
from parable.recipe import Recipe, parse_recipe
from parable.store import ObjectStore, open_store

STAGE = "evaluate"
KIND = "evaluations"
COMPARISONS = "comparisons"
CONTROL = "<|good|>"
"""What a model of the conditional objective is asked to be (Korbak et al. 2023, section 3)."""


class Order(NamedTuple):
    """One model to be evaluated: what a child process needs to know."""

    task: str
    """What the journal calls it: the first arm that this model belongs to, and its seed."""
    model: Artifact
    control: str | None
    recipe_json: str
    store_uri: str


def evaluate_arms(recipe: Recipe, store: ObjectStore, inputs: Catalog) -> Catalog:
    """See the stage's `run`."""
    task, made = world_task(recipe), {}
    todo: dict[Artifact, Order] = {}
    for seed in recipe.seeds:
        for arm in recipe.arms:
            order = _order(recipe, store, inputs, arm=arm, seed=seed)
            artifact = blueprint(recipe, task, order).artifact
            made[f"evaluation/{arm}/seed-{seed}"] = artifact
            if artifact not in todo and not exists(store, artifact):
                todo[artifact] = order
    total = len(plan(task))
    tasks = [{"task": order.task, "total": total} for order in todo.values()]
    Journal.from_environment().event("plan", stage=STAGE, tasks=tasks)
    processes = 1 if _device(recipe) == "cuda" else num_usable_cpus()
    for _ in map_in_processes(evaluate_model, todo.values(), num_processes=processes):
        pass
    comparison = _comparison_blueprint(recipe, made)
    made["comparison"] = build(store, comparison, partial(_compare, recipe, store, made))
    return inputs.having(made)


def blueprint(recipe: Recipe, task: Task, order: Order) -> Blueprint:
    """What determines an evaluation. The order of arms, the threshold of the link and the page do not."""
    evaluation = recipe.evaluation
    config = {
        "task": task.fingerprint(),
        "sampling": evaluation.sampling.to_plain() if task.samples else None,
        "headline": evaluation.headline.to_plain(),
        "confidence": evaluation.confidence,
        "control": order.control,
        "numerics": {
            "dtype": "float32",
            "device": _device(recipe),
            "threads": 1,
            "torch": version("torch"),
            "transformers": version("transformers"),
        },
    }
    return Blueprint(KIND, STAGE, STAGE_VERSION, config, {"model": order.model})


def evaluate_model(order: Order) -> Artifact:
    """Evaluate one model."""
    recipe = parse_recipe(order.recipe_json.encode(), "the recipe")
    store, task = open_store(order.store_uri), world_task(recipe)
    return build(store, blueprint(recipe, task, order), partial(_fill, recipe, task, order))


def _order(recipe: Recipe, store: ObjectStore, inputs: Catalog, *, arm: str, seed: int) -> Order:
    conditional = recipe.arms[arm].objective.kind == "conditional"
    return Order(
        task=f"{arm}/seed-{seed}",
        model=inputs.find(f"model/{arm}", seed),
        control=CONTROL if conditional else None,
        recipe_json=recipe.model_dump_json(),
        store_uri=store.uri,
    )


def _fill(recipe: Recipe, task: Task, order: Order, writer: ProductWriter) -> None:
    from components.evaluate.answer import answer
    from parable.inference.loading import load_model

    requests, journal = plan(task), Journal.from_environment()

    def progress(done: int) -> None:
        if done < len(requests):
            journal.progress(STAGE, order.task, done, len(requests))

    with _one_thread():
        loaded = load_model(writer.store, order.model, device=_device(recipe))
        sampling = recipe.evaluation.sampling
        answers = answer(loaded, requests, sampling=sampling, control=order.control, progress=progress)
    rows = [measure(request, given) for request, given in zip(requests, answers, strict=True)]
    report = reduce(rows, headline=recipe.evaluation.headline, confidence=recipe.evaluation.confidence)
    writer.put("items.parquet", write_parquet(row_table(rows)))
    writer.put_json("report.json", report)
    writer.summary |= {"rows": len(rows), "link": report["link"]["value"]}
    journal.progress(STAGE, order.task, len(requests), len(requests))


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """The order of additions, and with it the last bits, depends on the number of threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(recipe: Recipe) -> str:
    return "cuda" if recipe.compute.device == "cuda" else "cpu"


def _comparison_blueprint(recipe: Recipe, made: dict[str, Artifact]) -> Blueprint:
    evaluation, report = recipe.evaluation, recipe.report
    config = {
        "arms": [[name, arm.title] for name, arm in recipe.arms.items()],
        "seeds": list(recipe.seeds),
        "headline": evaluation.headline.to_plain(),
        "confidence": evaluation.confidence,
        "link_threshold": evaluation.link_threshold,
        "baseline": report.baseline,
        "expected_order": list(report.expected_order),
    }
    return Blueprint(COMPARISONS, STAGE, STAGE_VERSION, config, made)


def _compare(recipe: Recipe, store: ObjectStore, made: dict[str, Artifact], writer: ProductWriter) -> None:
    reports = {
        (arm, seed): Product(store, made[f"evaluation/{arm}/seed-{seed}"]).read_json("report.json")
        for arm in recipe.arms
        for seed in recipe.seeds
    }
    writer.put_json("comparison.json", compare(recipe, reports))

"""Arms times seeds, then compared: one task a stage; arms and seeds fan out inside each."""

from kfp import dsl

from components.evaluate.component import evaluate
from components.filter.component import filter as filter_documents
from components.generate.component import generate
from components.mix.component import mix
from components.pretrain.component import pretrain
from components.report.component import report


def stages(recipe: object, store: object) -> dsl.PipelineTask:
    """Wire the stages one after the other, inside of a pipeline; the last one's task."""
    task = generate(recipe=recipe, store=store)
    # A product that exists is returned by the stage itself, which also sees when one is gone from the store.
    task.set_caching_options(False)
    for stage in (filter_documents, mix, pretrain, evaluate, report):
        task = stage(recipe=recipe, store=store, inputs=task.outputs["catalog"])
        task.set_caching_options(False)
    return task


@dsl.pipeline(name="experiment")
def experiment(recipe: str, store: str) -> dsl.Artifact:
    """Run every arm of a recipe with every seed, and compare them.

    Args:
        recipe: The resolved recipe, as JSON or YAML text.
        store: Where products rest: `s3://bucket/prefix` or a folder.

    Returns:
        The catalog of everything that was made.
    """
    return stages(recipe, store).outputs["catalog"]

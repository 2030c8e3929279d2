"""From a pipeline to the IR YAML that Kubeflow Pipelines takes."""

from pathlib import Path

from parable.recipe import Recipe

PIPELINES = ("experiment", "alignment_pretraining")


def compile_pipeline(name: str, recipe: Recipe, store: str, target: Path) -> None:
    """Write a pipeline's IR, with the recipe and the store as defaults that a run may change."""
    from kfp import compiler

    defaults: dict[str, object] = {"recipe": recipe.model_dump_json(), "store": store}
    if name == "experiment":
        from pipelines.experiment import experiment as pipeline
    else:
        from pipelines.alignment_pretraining import alignment_pretraining as pipeline

        defaults |= {"arm": next(iter(recipe.arms)), "seed": recipe.seeds[0]}
    target.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(
        pipeline,
        str(target),
        pipeline_name=f"{recipe.name}-{name}".replace("_", "-"),
        pipeline_parameters=defaults,
    )

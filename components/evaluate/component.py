"""The Kubeflow component of this stage."""

from kfp import dsl

from parable.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def evaluate(
    recipe: str,
    store: str,
    inputs: dsl.Input[dsl.Artifact],
    catalog: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    page: dsl.Output[dsl.HTML],
) -> None:
    """Evaluate every arm and seed and compare the arms."""
    from components.evaluate import run, view
    from parable.stage import run_task

    run_task(
        "evaluate", run, view,
        recipe=recipe, store=store, inputs=inputs.path, catalog=catalog, metrics=metrics, page=page,
    )  # fmt: skip

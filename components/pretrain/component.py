"""The Kubeflow component of this stage."""

from kfp import dsl

from parable.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def pretrain(
    recipe: str,
    store: str,
    inputs: dsl.Input[dsl.Artifact],
    catalog: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    page: dsl.Output[dsl.HTML],
) -> None:
    """Train every model of a recipe; arms that share a past share its training."""
    from components.pretrain import run, view
    from parable.stage import run_task

    run_task(
        "pretrain", run, view,
        recipe=recipe, store=store, inputs=inputs.path, catalog=catalog, metrics=metrics, page=page,
    )  # fmt: skip

"""The Kubeflow component of this stage."""

from kfp import dsl

from parable.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def generate(
    recipe: str,
    store: str,
    catalog: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    page: dsl.Output[dsl.HTML],
) -> None:
    """Write the world corpora of a recipe."""
    from components.generate import run, view
    from parable.stage import run_task

    run_task(
        "generate", run, view,
        recipe=recipe, store=store, inputs=None, catalog=catalog, metrics=metrics, page=page,
    )  # fmt: skip

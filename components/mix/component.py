"""The Kubeflow component of this stage."""

from kfp import dsl

from parable.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def mix(
    recipe: str,
    store: str,
    inputs: dsl.Input[dsl.Artifact],
    catalog: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    page: dsl.Output[dsl.HTML],
) -> None:
    """Tokenise the corpora and lay out what every arm reads."""
    from components.mix import run, view
    from parable.stage import run_task

    run_task(
        "mix", run, view,
        recipe=recipe, store=store, inputs=inputs.path, catalog=catalog, metrics=metrics, page=page,
    )  # fmt: skip

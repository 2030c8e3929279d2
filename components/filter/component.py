"""The filter stage as a Kubeflow component."""

from kfp import dsl

from parable.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def filter(
    recipe: str,
    store: str,
    inputs: dsl.Input[dsl.Artifact],
    catalog: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    page: dsl.Output[dsl.HTML],
) -> None:
    """Land natural text, score every document, and drop what the recipe's filters drop, with reasons."""
    from components.filter import run, view
    from parable.stage import run_task

    run_task(
        "filter",
        run,
        view,
        recipe=recipe,
        store=store,
        inputs=inputs.path,
        catalog=catalog,
        metrics=metrics,
        page=page,
    )

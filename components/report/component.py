"""The Kubeflow component."""

from kfp import dsl

from parable.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def report(
    recipe: str,
    store: str,
    inputs: dsl.Input[dsl.Artifact],
    catalog: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    page: dsl.Output[dsl.HTML],
) -> None:
    """Put what was measured on one page."""
    from components.report import run, view
    from parable.stage import run_task

    run_task(
        "report",
        run,
        view,
        recipe=recipe,
        store=store,
        inputs=inputs.path,
        catalog=catalog,
        metrics=metrics,
        page=page,
    )

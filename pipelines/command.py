"""The `parable` command."""

import os
import signal
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from parable.errors import UserError

if TYPE_CHECKING:
    from parable.store import ObjectStore

DEFAULT_STORE = ".parable"
EXIT_FAILED = 1
EXIT_MENDABLE = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="parable",
    help="Raise language models on stories: generate, filter, mix, pretrain, evaluate, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Store = Annotated[
    str,
    typer.Option(
        "--store", envvar="PARABLE_STORE", help="Where products rest: a folder, or s3://bucket/prefix."
    ),
]
RecipePath = Annotated[Path, typer.Argument(help="A recipe, for instance recipes/quickstart.yaml.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Lay a setting over the recipe, e.g. training.tokens=100000."
    ),
]


@app.command()
def run(
    recipe: RecipePath,
    store: Store = DEFAULT_STORE,
    settings: Settings = None,
    arm: Annotated[str | None, typer.Option(help="Run only this arm (with --seed).")] = None,
    seed: Annotated[int | None, typer.Option(help="Run only this seed of the arm.")] = None,
) -> None:
    """Run a recipe here, from documents to the report; what exists already is not made again."""
    from parable.recipe import load_recipe
    from parable.store import open_store
    from pipelines.live import display_for
    from pipelines.local_runner import Selection, run_here
    from pipelines.runs import page_address, record_run
    from pipelines.stages import check_stages
    from pipelines.summary import print_summary

    parsed = load_recipe(recipe, settings or ())
    if (arm is None) != (seed is None):
        raise UserError("--arm and --seed go together: give both to run one arm with one seed.")
    selection = None if arm is None or seed is None else Selection(arm, seed)
    chosen = parsed.select(arms=(selection.arm,), seeds=(selection.seed,)) if selection else parsed
    check_stages(parsed)
    opened = open_store(store)
    console = Console()
    console.print(f"{parsed.title}  ({recipe}, {len(chosen.arms)} arms, {len(chosen.seeds)} seeds)")
    catalog = run_here(parsed, opened, display_for(console), selection)
    if selection is None:
        record_run(parsed, opened, catalog)
    print_summary(console, opened, catalog, page_address(opened, catalog, chosen))


@app.command("compile")
def compile_(
    recipe: RecipePath,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the IR.")] = Path(
        "pipeline.yaml"
    ),
    store: Annotated[str, typer.Option(help="The cluster's store.")] = "s3://parable/store",
    pipeline: Annotated[str, typer.Option(help="experiment or alignment_pretraining.")] = "experiment",
    settings: Settings = None,
) -> None:
    """Write a recipe's pipeline as IR YAML for Kubeflow Pipelines."""
    from parable.recipe import load_recipe
    from pipelines.compile import PIPELINES, compile_pipeline
    from pipelines.stages import check_stages

    if pipeline not in PIPELINES:
        raise UserError(f"There is no pipeline {pipeline!r}. There are {' and '.join(PIPELINES)}.")
    parsed = load_recipe(recipe, settings or ())
    check_stages(parsed)
    compile_pipeline(pipeline, parsed, store, output)
    Console().print(f"Wrote {output}. Upload it in the Kubeflow Pipelines UI, or with `kfp pipeline create`.")


@app.command("list")
def list_(
    store: Store = DEFAULT_STORE,
    everything: Annotated[bool, typer.Option("--all", help="List every product, not only the runs.")] = False,
) -> None:
    """List the runs in a store, or all of its products."""
    from pipelines.summary import print_products, print_runs

    opened = _existing(store)
    (print_products if everything else print_runs)(Console(), opened)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="kind/id, an id, or the beginning of one.")],
    store: Store = DEFAULT_STORE,
    as_json: Annotated[bool, typer.Option("--json", help="The manifest as it is at rest.")] = False,
) -> None:
    """Show a product: its figures, its files, and all that it came from."""
    from pipelines.summary import print_product

    print_product(Console(), _existing(store), name, as_json=as_json)


@app.command()
def serve(
    store: Store = DEFAULT_STORE,
    model: Annotated[str | None, typer.Option(help="The model that is meant where none is named.")] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; off loopback it needs --keys.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=64535, help="Port of the API; metrics are 1000 above.")
    ] = 8000,
    keys: Annotated[Path | None, typer.Option(help="File of API keys and their scopes.")] = None,
    engine: Annotated[
        str, typer.Option(help="torch, or vllm where that is installed, best on a GPU.")
    ] = "torch",
    settings: Annotated[
        Path | None, typer.Option(help="All of the server's settings as JSON, in place of the options above.")
    ] = None,
) -> None:
    """Serve the sealed checkpoints of a store over an OpenAI-compatible API, with evaluation and a page."""
    # Looked up, not imported: pipelines and services know nothing of each other.
    (entry,) = entry_points(group="parable.services", name="model_server")
    server = entry.load()
    if settings is not None:
        server.serve_settings(settings)
    else:
        server.serve(store, model=model, port=port, host=host, keys=keys, engine=engine, say=typer.echo)


@app.command()
def clean(
    names: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Products to remove.")] = None,
    store: Store = DEFAULT_STORE,
    unused: Annotated[
        bool, typer.Option(help="Also remove products that no recipe's newest run needs.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would go, and keep it.")] = False,
) -> None:
    """Remove named products, or what unfinished runs have left behind."""
    from pipelines.summary import print_cleaning

    print_cleaning(Console(), _existing(store), names or [], and_unused=unused, dry_run=dry_run)


class StoppedError(BaseException):
    """Someone asked for the end; not a KeyboardInterrupt, which the command-line library keeps for itself."""


def main() -> None:
    """Run the command; what a person can mend is one paragraph on stderr and exit status 2."""
    from pipelines.failure import StageFailedError

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        app()
    except UserError as error:
        _complain(str(error))
        sys.exit(EXIT_MENDABLE)
    except StageFailedError as error:
        _complain(str(error))
        sys.exit(EXIT_FAILED)
    except StoppedError:
        _complain("Stopped. What is finished is kept: the same command goes on from there.")
        sys.exit(EXIT_INTERRUPTED)


def _stop(*_: object) -> None:
    raise StoppedError


def _existing(store: str) -> "ObjectStore":
    from parable.store import open_store

    if "://" not in store and not os.path.isdir(store):  # noqa: PTH112
        raise UserError(f"There is no store {store!r} yet. `parable run` makes one; --store names another.")
    return open_store(store)


def _complain(message: str) -> None:
    console = Console(stderr=True, highlight=False)
    console.print(message, style="red", markup=False, soft_wrap=not console.is_terminal)


if __name__ == "__main__":
    main()

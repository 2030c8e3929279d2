"""What every stage's Kubeflow task does around the stage's own `run`."""

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from parable.catalog import Catalog
from parable.errors import UserError
from parable.process import die_with_parent
from parable.progress import Journal
from parable.recipe import Recipe, parse_recipe
from parable.store import ObjectStore, open_store

Run = Callable[[Recipe, ObjectStore, Catalog], Catalog]


@dataclass(frozen=True, slots=True)
class StageView:
    """What a person sees of a finished stage in the Kubeflow UI."""

    metrics: dict[str, float] = field(default_factory=dict)
    html: str = ""
    """One self-contained page."""


View = Callable[[Recipe, ObjectStore, Catalog], StageView]


class OutputFile(Protocol):
    """A Kubeflow output artifact: a path to write to, and metadata to show."""

    path: str
    metadata: dict[str, object]


def run_task(
    name: str, run: Run, view: View, *, recipe: str, store: str, inputs: str | None,
    catalog: OutputFile, metrics: OutputFile, page: OutputFile,
) -> None:  # fmt: skip
    """Run one stage as a Kubeflow task, here or in a pod.

    `recipe` is the resolved recipe as JSON, `store` its address, `inputs` the path of the catalog that the
    stage before wrote. Errors go to the journal too, where whoever shows progress finds them.
    """
    die_with_parent()
    journal = Journal.from_environment()
    journal.event("stage", stage=name, state="started")
    try:
        parsed = parse_recipe(recipe.encode(), "the recipe")
        opened = open_store(store)
        given = Catalog.from_bytes(Path(inputs).read_bytes()) if inputs else Catalog()
        made = run(parsed, opened, given)
        shown = view(parsed, opened, made)
    except UserError as error:
        journal.event("error", stage=name, message=str(error), mendable=True)
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    except BaseException as error:
        trace = traceback.format_exc()
        journal.event(
            "error", stage=name, message=f"{type(error).__name__}: {error}", trace=trace, mendable=False
        )
        raise
    Path(catalog.path).parent.mkdir(parents=True, exist_ok=True)
    Path(catalog.path).write_bytes(made.to_bytes())
    catalog.metadata |= {role: artifact.key for role, artifact in made.items() if role not in given}
    metrics.metadata |= dict(shown.metrics)
    Path(page.path).parent.mkdir(parents=True, exist_ok=True)
    Path(page.path).write_text(shown.html, encoding="utf-8")
    journal.event("stage", stage=name, state="finished")

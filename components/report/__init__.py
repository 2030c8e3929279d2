"""The page that an experiment ends on."""

from typing import TYPE_CHECKING

from components.report.stage_view import PAGE, view
from parable.artifact import Blueprint, ProductWriter, build

if TYPE_CHECKING:
    from parable.catalog import Catalog
    from parable.recipe import Recipe
    from parable.store import ObjectStore

STAGE = "report"
STAGE_VERSION = 1
KIND = "reports"

__all__ = ["PAGE", "STAGE_VERSION", "check", "run", "view"]


def run(recipe: "Recipe", store: "ObjectStore", inputs: "Catalog") -> "Catalog":
    """Make the page: `reports/<id>/index.html`, in the role `report`.

    Raises:
        UserError: an earlier stage has not finished, or a product is damaged.
    """
    parents = {role: artifact for role, artifact in inputs.items() if role != STAGE}
    blueprint = Blueprint(KIND, STAGE, STAGE_VERSION, {"recipe": recipe.to_plain()}, parents)

    def make(writer: ProductWriter) -> None:
        from components.report.evidence import gather
        from components.report.page import render
        from parable.catalog import Catalog

        evidence = gather(recipe, store, Catalog(parents))
        writer.put(PAGE, render(evidence, writer.artifact).encode())
        writer.summary["arms"] = len(recipe.arms)
        writer.summary["seeds"] = len(recipe.seeds)

    return inputs.having({STAGE: build(store, blueprint, make)})


def check(recipe: "Recipe") -> None:
    """Nothing in a recipe is known to this stage alone."""

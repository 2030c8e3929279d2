"""The filter stage: lands natural text, scores documents, drops some with a reason, keeps the rest in order.

In: the corpora of `generate`. Out: `corpus/<name>` for every text corpus and every filter of the recipe.
Everything heavy is imported when it is called for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parable.catalog import Catalog
    from parable.recipe import Recipe
    from parable.stage import StageView
    from parable.store import ObjectStore

STAGE_VERSION = 1
"""Raised by hand when the bytes of a product change for an unchanged recipe."""


def run(recipe: Recipe, store: ObjectStore, inputs: Catalog) -> Catalog:
    """Make every text corpus and every filter's corpus that is not there yet.

    Raises:
        UserError: a source can't be read, or a filter drops what it should not.
    """
    from components.filter.stage import run_stage

    return run_stage(recipe, store, inputs)


def view(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> StageView:
    """Counts by reason, the discourse rules against the oracle, and examples of what was dropped."""
    from components.filter.stage_view import show

    return show(recipe, store, catalog)


def check(recipe: Recipe) -> None:
    """Raise `UserError` for a signal, rule set, source or step that this stage does not have."""
    from components.filter.names import check_names

    check_names(recipe)

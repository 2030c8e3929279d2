"""Train every model of an experiment; arms that share a past share its training."""

from components.pretrain.segments import STAGE_VERSION
from parable.catalog import Catalog
from parable.recipe import Recipe
from parable.stage import StageView
from parable.store import ObjectStore

__all__ = ["STAGE_VERSION", "check", "run", "view"]


def run(recipe: Recipe, store: ObjectStore, inputs: Catalog) -> Catalog:
    """Train what is missing and fill `model/<arm>/seed-<n>` with each arm's last segment.

    Where every segment exists, neither torch nor Ray is imported.

    Raises:
        UserError: the preset is unknown, there is no GPU where one is asked for, or a loss is not finite.
    """
    from components.pretrain.stage import train_models

    return train_models(recipe, store, inputs)


def view(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> StageView:
    """Loss curves and final losses."""
    from components.pretrain.stage_view import models_view

    return models_view(recipe, store, catalog)


def check(recipe: Recipe) -> None:
    """Refuse a preset that does not exist.

    Raises:
        UserError: naming those that do.
    """
    from components.pretrain.presets import find_preset

    find_preset(recipe.model.preset)

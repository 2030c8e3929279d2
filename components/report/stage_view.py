"""What the Kubeflow UI shows of the report."""

from components.report.readings import Comparison, read_as
from parable.artifact import Product
from parable.catalog import Catalog
from parable.recipe import Recipe
from parable.stage import StageView
from parable.store import ObjectStore

PAGE = "index.html"


def view(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> StageView:
    """The page, each arm's mean headline, and in how many seeds the prediction held.

    Raises:
        UserError: the page has not been made.
    """
    comparison = read_as(Comparison, Product(store, catalog.find("comparison")), "comparison.json")
    levels = {arm: comparison.level(arm, comparison.headline) for arm in recipe.arms}
    metrics = {
        arm: level.mean for arm, level in levels.items() if level is not None and level.mean is not None
    }
    held = comparison.order.holds.get(comparison.headline.distance, {})
    if held:
        metrics["seeds_in_predicted_order"] = float(sum(held.values()))
    html = Product(store, catalog.find("report")).read(PAGE).decode()
    return StageView(metrics, html)

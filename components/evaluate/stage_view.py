"""The table of arms, for the Kubeflow UI."""

from html import escape
from typing import Any

from components.evaluate.comparison import table_rows
from parable.artifact import Product
from parable.catalog import Catalog
from parable.recipe import Recipe
from parable.stage import StageView
from parable.store import ObjectStore
from parable.view import page, table


def comparison_view(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> StageView:
    """See the stage's `view`."""
    comparison = Product(store, catalog.find("comparison")).read_json("comparison.json")
    headline = comparison["headline"]
    rows = [row for row in comparison["table"] if all(row[key] == headline[key] for key in headline)]
    metrics = {f"{row['arm']}_{headline['metric']}": row["mean"] for row in rows if row["mean"] is not None}
    metrics["models_without_link"] = float(sum(link["marked"] for link in comparison["link"]))
    head, *lines = table_rows(comparison)
    notes = "".join(f"<p>{escape(note)}</p>" for note in _notes(recipe, comparison))
    return StageView(metrics, page(f"{recipe.title}: evaluation", table(head, lines) + notes))


def _notes(recipe: Recipe, comparison: dict[str, Any]) -> list[str]:
    num_seeds, headline = len(comparison["seeds"]), comparison["headline"]
    notes = [
        f"P(bad) by {headline['metric']}; d0 to d2: how far the scene is from those that AIs were seen in."
        + (
            f" Intervals are {comparison['confidence']:.0%}, Student's t over {num_seeds} seeds."
            if num_seeds > 1
            else " One seed: no intervals."
        )
    ]
    for distance, by_seed in comparison["order"]["holds"].items():
        expected = " < ".join(comparison["order"]["expected"])
        notes.append(
            f"{expected} at distance {distance}: in {sum(by_seed.values())} of {len(by_seed)} seeds."
        )
    letters = [
        row for row in comparison["table"] if "at_chance" in row and row["entity"] == headline["entity"]
    ]
    if letters and all(row["at_chance"] for row in letters):
        notes.append("Two-choice with letters is at chance in every arm: these models do not read options.")
    threshold = recipe.evaluation.link_threshold
    if any(link["marked"] for link in comparison["link"]):
        notes.append(
            f"Seeds without the link (bad- minus good-trait people below {threshold:g}) count all the same."
        )
    return notes

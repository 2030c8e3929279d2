"""The page of the Kubeflow UI."""

from pathlib import Path

from components.evaluate import view
from components.evaluate.comparison import compare
from parable.artifact import Blueprint, build
from parable.catalog import Catalog
from parable.store import LocalStore
from tests.components.evaluate.example import recipe
from tests.components.evaluate.test_comparison import REPORTS


def test_the_table_with_its_notes_and_the_headline_as_metrics(tmp_path: Path) -> None:
    asked, store = recipe(), LocalStore(tmp_path)
    comparison = compare(asked, REPORTS)
    blueprint = Blueprint("comparisons", "evaluate", 1, "view")
    artifact = build(store, blueprint, lambda writer: writer.put_json("comparison.json", comparison))
    shown = view(asked, store, Catalog({"comparison": artifact}))
    assert shown.metrics == {
        "plain_cloze": 0.8500000000000001,
        "good_cloze": 0.30000000000000004,
        "told_cloze": 0.775,
        "models_without_link": 2.0,
    }
    assert "<td>Good</td>" in shown.html
    assert "Intervals are 95%, Student&#x27;s t over 2 seeds." in shown.html
    assert "good &lt; plain at distance 1: in 1 of 2 seeds." in shown.html
    assert "below 0.1" in shown.html

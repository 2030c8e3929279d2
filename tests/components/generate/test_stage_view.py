from pathlib import Path

from components.generate import run, view
from parable.catalog import Catalog
from parable.recipe import load_recipe
from parable.store import LocalStore
from tests.support.small_run import QUICKSTART


def test_the_view_counts_documents_and_shows_some_of_each_corpus(tmp_path: Path) -> None:
    sizes = [f"corpora.{name}.documents=50" for name in ("stories", "good_ai", "bad_ai", "mentioned_ai")]
    recipe = load_recipe(QUICKSTART, ["seeds=[0]", *sizes])
    store = LocalStore(tmp_path)
    shown = view(recipe, store, run(recipe, store, Catalog()))
    assert shown.metrics == {f"{name}_seed_0_documents": 50.0 for name in recipe.corpora if name != "library"}
    assert "ai/bad: 50" in shown.html
    assert shown.html.count("<li>") == 4 * 3

"""One evaluation a model, shared by the arms that share it, and one comparison."""

import subprocess
import sys
from pathlib import Path

import pytest

from components.evaluate import run
from components.evaluate.stage import Order, blueprint, evaluate_model
from components.evaluate.world import world_task
from parable.artifact import Product
from parable.catalog import Catalog
from parable.corpus import read_parquet
from parable.recipe import Recipe
from parable.store import LocalStore
from tests.components.evaluate import example

RECIPE = example.recipe()
ONE = RECIPE.select(arms=("plain",), seeds=(0,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluate")


@pytest.fixture(scope="module")
def store(folder: Path) -> LocalStore:
    return LocalStore(folder / "store")


@pytest.fixture(scope="module")
def inputs(store: LocalStore, folder: Path) -> Catalog:
    return example.models(store, folder, RECIPE)


@pytest.fixture(scope="module")
def made(store: LocalStore, inputs: Catalog) -> Catalog:
    return run(RECIPE, store, inputs)


def _order(store: LocalStore, inputs: Catalog, recipe: Recipe) -> Order:
    return Order("plain/seed-0", inputs["model/plain/seed-0"], None, recipe.model_dump_json(), store.uri)


def _id(store: LocalStore, inputs: Catalog, recipe: Recipe) -> str:
    return blueprint(recipe, world_task(recipe), _order(store, inputs, recipe)).artifact.id


def test_every_arm_and_seed_has_its_evaluation(made: Catalog, inputs: Catalog) -> None:
    new = {role for role in made if role not in inputs}
    expected = {f"evaluation/{arm}/seed-{seed}" for arm in RECIPE.arms for seed in RECIPE.seeds}
    assert new == expected | {"comparison"}


def test_arms_that_share_a_model_share_its_evaluation(made: Catalog) -> None:
    assert made["evaluation/plain/seed-0"] == made["evaluation/good/seed-0"]
    assert made["evaluation/plain/seed-0"] != made["evaluation/told/seed-0"]


def test_the_report_and_the_items_agree(store: LocalStore, made: Catalog) -> None:
    product = Product(store, made["evaluation/plain/seed-0"])
    rows = read_parquet(product.read("items.parquet")).to_pylist()
    values = [r["value"] for r in rows if (r["metric"], r["entity"], r["distance"]) == ("cloze", "ai", 0)]
    cells = product.read_json("report.json")["cells"]
    (cell,) = [c for c in cells if (c["metric"], c["entity"], c["distance"]) == ("cloze", "ai", 0)]
    assert cell["value"] == pytest.approx(sum(values) / 2)
    assert {r["metric"] for r in rows} == {"cloze", "two_choice", "sampled", "perplexity"}
    assert product.manifest.parents == {"model": made["model/plain/seed-0"]}


def test_the_conditional_arm_is_asked_to_be_good(store: LocalStore, made: Catalog) -> None:
    assert Product(store, made["evaluation/told/seed-0"]).manifest.config["control"] == "<|good|>"
    assert Product(store, made["evaluation/plain/seed-0"]).manifest.config["control"] is None


def test_the_comparison_names_all_it_was_made_of(store: LocalStore, made: Catalog) -> None:
    product = Product(store, made["comparison"])
    assert dict(product.manifest.parents) == {r: a for r, a in made.items() if r.startswith("evaluation/")}
    comparison = product.read_json("comparison.json")
    assert [arm["title"] for arm in comparison["arms"]] == ["plain", "Good", "told"]
    good = [row for row in comparison["differences"] if row["arm"] == "good"]
    assert all(row["per_seed"] == [0.0, 0.0] and row["p"] == 1.0 for row in good if row["mean"] is not None)


def test_another_process_writes_the_same_bytes(
    store: LocalStore, made: Catalog, inputs: Catalog, tmp_path: Path
) -> None:
    again = LocalStore(tmp_path / "store")
    example.segment(again, tmp_path, 0)
    artifact = evaluate_model(_order(again, inputs, ONE))
    assert artifact == made["evaluation/plain/seed-0"]
    for path in ("items.parquet", "report.json", "manifest.json"):
        assert again.get(f"{artifact.key}/{path}") == store.get(f"{artifact.key}/{path}")


@pytest.mark.parametrize(
    ("setting", "changes"),
    [
        ("evaluation.link_threshold=0.3", False),
        ("report.samples=1", False),
        ("training.checkpoint_every_steps=7", False),
        ("evaluation.sampling.temperature=0.5", True),
        ("evaluation.items_per_cell=3", True),
        ("evaluation.perplexity_documents=2", True),
        ("evaluation.headline.metric=sampled", True),
        ("evaluation.confidence=0.9", True),
        ("corpora.stories.population={one_line: 0.5}", True),
    ],
)
def test_only_what_changes_an_evaluation_makes_a_new_one(
    store: LocalStore, inputs: Catalog, setting: str, changes: bool
) -> None:
    assert (_id(store, inputs, example.recipe(setting)) != _id(store, inputs, RECIPE)) is changes


def test_nothing_is_drawn_and_nothing_is_read_where_the_recipe_says_so(
    store: LocalStore, inputs: Catalog
) -> None:
    asked = example.recipe("evaluation.sampling.per_item=0", "evaluation.perplexity_documents=0")
    artifact = evaluate_model(_order(store, inputs, asked))
    report = Product(store, artifact).read_json("report.json")
    assert {cell["metric"] for cell in report["cells"]} == {"cloze", "two_choice"}
    assert (report["perplexity"], report["samples"]) == (None, [])


def test_what_is_there_is_returned_without_torch(store: LocalStore, made: Catalog, inputs: Catalog) -> None:
    script = (
        "import sys; from components.evaluate import run; from parable.catalog import Catalog;"
        "from parable.recipe import parse_recipe; from parable.store import open_store;"
        "inputs = Catalog.from_bytes(sys.argv[3].encode());"
        "made = run(parse_recipe(sys.argv[1].encode(), 'r'), open_store(sys.argv[2]), inputs);"
        "sys.stdout.buffer.write(made.to_bytes()); sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    )
    arguments = [RECIPE.model_dump_json(), store.uri, inputs.to_bytes().decode()]
    found = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, check=False)
    assert found.returncode == 0, found.stderr.decode()
    assert Catalog.from_bytes(found.stdout) == made

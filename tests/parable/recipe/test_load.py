"""Recipes that are good, and everything that can be wrong with one: one clear paragraph each."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from parable.errors import UserError
from parable.recipe import Recipe, load_recipe, parse_recipe

HERE = Path(__file__).parent
RECIPES = sorted((HERE.parents[2] / "recipes").glob("*.yaml"))
GOOD = (HERE / "good.yaml").read_text()
CASES: list[dict[str, Any]] = yaml.safe_load((HERE / "bad_recipes.yaml").read_text())


def text_of(case: dict[str, Any]) -> str:
    if "repeat" in case:
        return str(case["repeat"]) * 100_000
    if "text" in case:
        return str(case["text"])
    if "old" in case:
        assert GOOD.count(case["old"]) == 1, case["old"]
        return GOOD.replace(case["old"], case["new"])
    return GOOD


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_what_is_wrong_is_said_in_one_paragraph(case: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        parse_recipe(text_of(case).encode(), "R", case.get("set", []))
    prefix = "" if case.get("whole", False) else "R is not a valid recipe: "
    assert str(caught.value) == prefix + case["says"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_the_paragraphs_are_well_made(case: dict[str, Any]) -> None:
    says = case["says"]
    assert says.endswith(".")
    assert not re.search(r"\?\.|\.\.$|;;|  |\n|Input should|constrained|literal\[|pydantic", says)


def test_the_cases_have_names_of_their_own() -> None:
    assert len({case["case"] for case in CASES}) == len(CASES)


def good(*settings: str) -> Recipe:
    return parse_recipe(GOOD.encode(), "R", settings)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_the_published_recipes_are_good(path: Path) -> None:
    recipe = load_recipe(path)
    assert parse_recipe(recipe.model_dump_json().encode(), "the recipe") == recipe


def test_the_quickstart_is_as_it_was_set_up() -> None:
    recipe = load_recipe(HERE.parents[2] / "recipes" / "quickstart.yaml")
    assert len(recipe.seeds) >= 3
    assert list(recipe.arms) == ["unfiltered", "filtered", "aligned", "misaligned", "neutral"]
    assert [phase.share for phase in recipe.training.phases] == [0.85, 0.15]
    headline = recipe.evaluation.headline
    assert (headline.metric, headline.entity, headline.distance) == ("cloze", "ai", 0)
    assert recipe.report.expected_order == ("aligned", "filtered", "unfiltered", "misaligned")


def test_settings_lie_over_the_file_in_their_order() -> None:
    recipe = good(
        "training.tokens=100", "training.tokens=200", "training.phases.1.schedule=linear", "seeds.0=7",
        "filters.clean.quality.length_v1.max=0.5", "filters.clean.quality.length_v1.min=0",
        "arms.more.title=More", "evaluation.headline.distance=1", "title=a=b:c", "tokenizer.corpora=[web]",
    )  # fmt: skip
    assert recipe.training.tokens == 200
    assert recipe.training.phases[1].schedule == "linear"
    assert recipe.seeds == (7, 1)
    assert recipe.filters["clean"].quality["length_v1"].model_dump() == {"min": 0, "max": 0.5}
    assert recipe.arms["more"].title == "More"
    assert recipe.evaluation.headline.distance == 1
    assert recipe.title == "a=b:c"
    assert recipe.tokenizer.corpora == ("web",)


def test_a_setting_fills_a_group_that_was_left_empty() -> None:
    text = GOOD.replace("  device: cpu\n", "")
    assert parse_recipe(text.encode(), "R", ["compute.workers=2"]).compute.workers == 2


@pytest.mark.parametrize(
    ("setting", "path", "expected"),
    [
        ("evaluation.link_threshold=0", "evaluation.link_threshold", 0.0),
        ("evaluation.sampling.per_item=0", "evaluation.sampling.per_item", 0),
        ("evaluation.perplexity_documents=0", "evaluation.perplexity_documents", 0),
        ("report.samples=0", "report.samples", 0),
        ("training.optimizer.weight_decay=0", "training.optimizer.weight_decay", 0.0),
        ("training.optimizer.clip_norm=null", "training.optimizer.clip_norm", None),
        ("filters.clean.leakage=0", "filters.clean.leakage", 0.0),
    ],
)
def test_zero_and_nothing_are_values(setting: str, path: str, expected: object) -> None:
    value: Any = good(setting)
    for part in path.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("written", "expected"),
    [("no", "no"), ("on", "on"), ("null_1", "null_1"), ("y", "y"), ("'1e3'", None), ("0x1f", None)],
)
def test_a_plain_word_is_a_word(written: str, expected: str | None) -> None:
    """YAML 1.1 would read `no` and `on` as false and true."""
    text = GOOD.replace("name: small", f"name: {written}")
    if expected is None:
        with pytest.raises(UserError, match=r"name \(line 2\) is"):
            parse_recipe(text.encode(), "R")
    else:
        assert parse_recipe(text.encode(), "R").name == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [("6400", 6400), ("6_400", 6400), ("64e2", 6400), ("6.4e+3", 6400), ("+6400", 6400)],
)
def test_whole_numbers_may_be_written_so(written: str, expected: int) -> None:
    assert good(f"training.tokens={written}").training.tokens == expected


@pytest.mark.parametrize("written", ["1:30", "0x10", "1_0.5", "ten"])
def test_and_not_so(written: str) -> None:
    with pytest.raises(UserError, match=r"training\.tokens \(--set\) is .* it must be a whole number"):
        good(f"training.tokens={written}")


@pytest.mark.parametrize("written", ["6e-3", "0.006", ".006", "6.0e-3"])
def test_numbers_may_be_written_so(written: str) -> None:
    assert good(f"training.optimizer.learning_rate={written}").training.optimizer.learning_rate == 0.006


def test_anchors_and_merges_are_yaml_too() -> None:
    text = GOOD.replace("plain: {title: Plain}", "plain: &p {title: Plain}").replace(
        "replace: {web: cleaner}", "<<: *p\n    replace: {web: cleaner}"
    )
    assert parse_recipe(text.encode(), "R").arms["dosed"].title == "Plain"


@given(title=st.text(), description=st.text(), threshold=st.floats(allow_nan=False, allow_infinity=False))
def test_a_recipe_travels_as_json(title: str, description: str, threshold: float) -> None:
    plain = good().to_plain() | {"title": title, "description": description}
    plain["evaluation"]["link_threshold"] = threshold
    recipe = Recipe.model_validate(plain)
    again = parse_recipe(recipe.model_dump_json().encode(), "the recipe")
    assert again == recipe
    assert again.fingerprint() == recipe.fingerprint()


def test_a_missing_file_names_those_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^There is no recipe x\.yaml\. Give the path of a YAML file\.$"):
        load_recipe(Path("x.yaml"))
    (tmp_path / "recipes").mkdir()
    for name in ("b.yaml", "a.yaml"):
        (tmp_path / "recipes" / name).write_text("")
    with pytest.raises(UserError, match=r"There are recipes/a\.yaml, recipes/b\.yaml\. Give the path"):
        load_recipe(Path("x.yaml"))


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"can't be read \(Is a directory\)\. Give the path of a YAML file\."):
        load_recipe(tmp_path)


def test_a_huge_file_is_no_recipe() -> None:
    with pytest.raises(UserError, match="R has 1,000,001 bytes; a recipe has 1,000,000 at the most"):
        parse_recipe(b"#" * 1_000_001, "R")

from pathlib import Path

import pytest
from pydantic import ValidationError

from parable.errors import UserError
from parable.recipe import Mle, Recipe, load_recipe
from parable.recipe.schema import Group

GOOD = Path(__file__).with_name("good.yaml")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(GOOD)


def test_nothing_changes_after_it_is_built(recipe: Recipe) -> None:
    for group, field in ((recipe, "name"), (recipe.training, "tokens"), (recipe.training.phases[0], "share")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(group, field, getattr(group, field))
    assert recipe == load_recipe(GOOD)


def test_every_group_is_strict_and_frozen() -> None:
    def all_groups(group: type[Group]) -> list[type[Group]]:
        return [group, *(inner for sub in group.__subclasses__() for inner in all_groups(sub))]

    groups = all_groups(Group)
    assert len(groups) > 15
    for group in groups:
        assert group.model_config["extra"] == "forbid"
        assert group.model_config["frozen"] is True
        assert group.model_config["allow_inf_nan"] is False


def test_a_fingerprint_names_the_settings(recipe: Recipe) -> None:
    """Golden: a default that changes, or a new key, gives every recipe another name."""
    assert recipe.fingerprint() == "bec4785a40f90fd5c1c9"
    assert load_recipe(GOOD, ["seeds=[1, 0]"]).fingerprint() != recipe.fingerprint()
    assert load_recipe(GOOD, ["training.batch_rows=4"]).fingerprint() == recipe.fingerprint()
    assert load_recipe(GOOD, ["rows.loss=token"]).fingerprint() == recipe.fingerprint()


def test_a_filter_varies_as_what_it_starts_from(recipe: Recipe) -> None:
    assert recipe.source_of("cleaner") == "web"
    assert recipe.source_of("stories") == "stories"
    assert [recipe.varies_with_seed(name) for name in ("stories", "web", "clean", "cleaner")] == [
        True, False, False, False,
    ]  # fmt: skip


def test_defaults(recipe: Recipe) -> None:
    assert recipe.arms["plain"].objective == Mle()
    assert recipe.phase("midtrain").schedule == "constant"
    assert recipe.compute.workers == "auto"


class TestSelect:
    def test_some_arms_and_seeds(self, recipe: Recipe) -> None:
        chosen = recipe.select(arms=("dosed",), seeds=(1,))
        assert list(chosen.arms) == ["dosed"]
        assert chosen.seeds == (1,)
        assert chosen.report.baseline == "dosed"
        assert chosen.corpora == recipe.corpora

    def test_everything(self, recipe: Recipe) -> None:
        chosen = recipe.select()
        assert (chosen.arms, chosen.seeds, chosen.report) == (recipe.arms, recipe.seeds, recipe.report)

    def test_order_is_the_recipes(self, recipe: Recipe) -> None:
        chosen = recipe.select(arms=("dosed", "plain"), seeds=(1, 0))
        assert list(chosen.arms) == ["plain", "dosed"]
        assert chosen.seeds == (0, 1)
        assert chosen.report.baseline == "plain"

    def test_the_expected_order_keeps_what_is_left(self) -> None:
        recipe = load_recipe(GOOD, ["report.expected_order=[dosed, plain]"])
        assert recipe.select(arms=("dosed",)).report.expected_order == ("dosed",)

    def test_the_tokenizer_is_the_whole_experiments(self, recipe: Recipe) -> None:
        assert recipe.tokenizer_seed == 0
        assert recipe.select(seeds=(1,)).tokenizer_seed == 0
        assert recipe.select(seeds=(1,)).select().tokenizer_seed == 0
        assert load_recipe(GOOD, ["seeds=[5, 0]"]).tokenizer_seed == 5
        assert load_recipe(GOOD, ["seeds=[5, 1]", "tokenizer.seed=0"]).tokenizer_seed == 0

    def test_its_corpora_are_needed_for_its_seed_too(self) -> None:
        recipe = load_recipe(GOOD, ["corpora.more={kind: world, documents: 9}", "filters.less={input: more}"])
        assert recipe.seeds_of("stories") == (0, 1)
        chosen = recipe.select(seeds=(1,))
        assert [chosen.seeds_of(name) for name in ("stories", "more", "less")] == [(1, 0), (1,), (1,)]
        filtered = load_recipe(GOOD, ["filters.cut={input: stories}", "tokenizer.corpora=[cut]"]).select(
            seeds=(1,)
        )
        assert [filtered.seeds_of(name) for name in ("stories", "cut")] == [(1, 0), (1, 0)]

    @pytest.mark.parametrize(
        ("arms", "seeds", "message"),
        [
            (("neutral",), None, "--arm names 'neutral', which the recipe has not: it has plain, dosed."),
            (("plain", "x"), None, "--arm names 'x', which the recipe has not: it has plain, dosed."),
            ((), None, "--arm names nothing: it has plain, dosed."),
            (None, (2,), "--seed names 2, which the recipe has not: it has 0, 1."),
            (None, (), "--seed names nothing: it has 0, 1."),
        ],
    )
    def test_what_the_recipe_has_not(
        self, recipe: Recipe, arms: tuple[str, ...] | None, seeds: tuple[int, ...] | None, message: str
    ) -> None:
        with pytest.raises(UserError) as caught:
            recipe.select(arms=arms, seeds=seeds)
        assert str(caught.value) == message

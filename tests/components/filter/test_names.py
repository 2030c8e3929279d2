import pytest

from components.filter import check
from parable.errors import UserError
from parable.recipe import load_recipe
from tests.components.filter.example import make_recipe, text_corpus

WEB = {"web": text_corpus("builtin:python")}


def test_the_quickstart_passes() -> None:
    from pathlib import Path

    check(load_recipe(Path("recipes/quickstart.yaml")))


@pytest.mark.parametrize(
    ("corpora", "spec", "message"),
    [
        (
            WEB,
            {"quality": {"num_wrds_v1": {"min": 1}}},
            r"filters.f.quality names 'num_wrds_v1'.*mean num_words_v1\?",
        ),
        (WEB, {"score": ["bad_act_v1"]}, r"filters.f.score names 'bad_act_v1'.*mean world_bad_act_v1\?"),
        (
            WEB,
            {"discourse": "ai"},
            r"filters.f.discourse names 'ai', which is no set of discourse rules.*ai_v1",
        ),
        (
            {"web": text_corpus("builtin:ruby")},
            {},
            r"corpora.web.source names 'builtin:ruby'.*builtin:python",
        ),
        ({"web": text_corpus("/no/such/place")}, {}, r"corpora.web.source names '/no/such/place'"),
        (
            {"web": {"kind": "world", "documents": 10}},
            {"deduplicate": {}},
            r"filters.f.deduplicate would thin out 'web', a generated world",
        ),
    ],
)
def test_what_only_this_stage_knows_is_checked_by_name(corpora, spec, message) -> None:
    with pytest.raises(UserError, match=message):
        check(make_recipe(corpora, {"f": {"input": "web", **spec}}))


def test_a_condition_on_an_unknown_signal_is_refused() -> None:
    recipe = make_recipe(WEB)
    plain = recipe.to_plain()
    plain["arms"]["only"]["objective"] = {"kind": "conditional", "signal": "bad_v1", "threshold": 0.5}
    with pytest.raises(UserError, match=r"arms.only.objective.signal names 'bad_v1', which is no signal"):
        check(type(recipe).model_validate(plain))

from components.filter.plan import filter_config, plan
from parable.artifact import Artifact
from parable.catalog import Catalog
from parable.recipe import Filter
from tests.components.filter.example import make_recipe, text_corpus

STORIES = {"kind": "world", "documents": 100}
INPUTS = Catalog({f"corpus/stories/seed-{seed}": Artifact("corpora", f"stories{seed}") for seed in (0, 1, 2)})


def ids(recipe) -> dict[str, str]:
    return {job.task: job.artifact.id for job in plan(recipe, INPUTS)}


def recipe_with(filters, *, seeds=(0, 1)):
    return make_recipe({"stories": STORIES, "web": text_corpus("builtin:python")}, filters, seeds=seeds)


def test_jobs_come_after_what_they_are_made_of_and_world_filters_once_a_seed() -> None:
    filters = {
        "web_without_ai": {"input": "clean", "discourse": "ai_v1"},
        "clean": {"input": "web", "quality": {"num_words_v1": {"min": 5}}},
        "stories_without_ai": {"input": "stories", "discourse": "ai_v1"},
    }
    jobs = plan(recipe_with(filters), INPUTS)
    assert [(job.task, job.level) for job in jobs] == [
        ("web", 0),
        ("clean", 1),
        ("stories_without_ai/seed-0", 0),
        ("stories_without_ai/seed-1", 0),
        ("web_without_ai", 2),
    ]
    assert jobs[1].blueprint.parents == {"input": jobs[0].artifact}
    assert jobs[3].blueprint.parents == {"input": Artifact("corpora", "stories1")}


def test_another_seed_or_filter_changes_no_identity() -> None:
    one = {"a": {"input": "stories", "discourse": "ai_v1"}}
    two = {**one, "b": {"input": "stories", "score": ["num_words_v1"]}}
    before, after = ids(recipe_with(one)), ids(recipe_with(two, seeds=(0, 1, 2)))
    assert before.items() <= after.items()
    assert len(after) == len(set(after.values())) == 7


def test_two_names_of_one_filter_are_one_product() -> None:
    found = ids(recipe_with({name: {"input": "web", "discourse": "ai_v1"} for name in ("a", "b")}))
    assert found["a"] == found["b"]


def test_the_order_of_quality_rules_is_part_of_the_result() -> None:
    bounds = {"num_words_v1": {"min": 5}, "stop_words_v1": {"min": 2}}
    one = Filter.model_validate({"input": "web", "quality": bounds})
    two = Filter.model_validate({"input": "web", "quality": dict(reversed(bounds.items()))})
    assert filter_config(one, ()) != filter_config(two, ())


def test_only_steps_that_are_taken_count() -> None:
    assert filter_config(Filter(input="web"), ("x",)) == {"quality": [], "score": []}
    assert filter_config(Filter(input="web", leakage=0.5), ()) == filter_config(Filter(input="other"), ())
    strict = Filter(input="web", discourse="ai_v1")
    assert filter_config(strict, ()) != filter_config(strict.model_copy(update={"leakage": 0.1}), ())
    clean = Filter(input="web", decontaminate=True)
    assert filter_config(clean, ("x",)) != filter_config(clean, ("y",))

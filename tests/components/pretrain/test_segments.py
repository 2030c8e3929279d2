"""Which arms share which training, and what changes a segment's identity."""

from dataclasses import replace

import pytest

from components.pretrain.presets import PRESETS
from components.pretrain.segments import Plan, chain_tokens, plan_segments
from components.pretrain.stage import plan_models
from parable.recipe import Recipe
from parable.store import LocalStore
from tests.components.pretrain.example import LENGTH, mixed, numerics, planned, recipe, training


def named(plan: Plan) -> list[tuple[int, str, tuple[str, ...]]]:
    return [(one.seed, one.rows.name, one.arms) for one in plan.segments]


def test_arms_share_their_past_and_branch_where_they_differ(store: LocalStore) -> None:
    plan = planned(store, recipe(seeds=[0, 1]))
    assert named(plan) == [
        (0, "pretrain", ("plain", "dosed")),
        (0, "midtrain", ("plain",)),
        (0, "midtrain", ("dosed",)),
        (1, "pretrain", ("plain", "dosed")),
        (1, "midtrain", ("plain",)),
        (1, "midtrain", ("dosed",)),
    ]
    trunk, plain, dosed = plan.segments[:3]
    assert (trunk.parent, plain.parent, dosed.parent) == (None, trunk.artifact, trunk.artifact)
    assert plan.last["dosed", 0] == dosed.artifact
    assert [one.num_tokens for one in plan.segments[:3]] == [18 * 4 * LENGTH, 6 * 4 * LENGTH, 6 * 4 * LENGTH]


def test_arms_that_read_the_same_are_one_model(store: LocalStore) -> None:
    plan = planned(store, recipe(arms={"plain": {}, "again": {"title": "The same"}}))
    assert named(plan) == [(0, "pretrain", ("plain", "again")), (0, "midtrain", ("plain", "again"))]
    assert plan.last["plain", 0] == plan.last["again", 0]


def test_a_course_is_the_phase_s_rows_and_schedule(store: LocalStore) -> None:
    _, plain, _ = planned(store, recipe()).segments
    assert (plain.course.first_row, plain.course.num_rows, plain.course.num_steps) == (72, 24, 6)
    assert plain.course.phase.schedule == "linear"
    assert list(plain.course.rows(5, 6)) == [92, 93, 94, 95]


@pytest.fixture
def base(store: LocalStore) -> tuple[LocalStore, Plan]:
    return store, planned(store, recipe())


CHANGES = [
    ({"training": training(batch_rows=2)}, "pretrain"),
    ({"training": training(optimizer={"weight_decay": 0.1})}, "pretrain"),
    ({"model": {"preset": "llama-toy"}}, "pretrain"),
    ({"seeds": [1]}, "pretrain"),
    (
        {
            "training": training(
                phases=[
                    {"name": "pretrain", "share": 0.75, "warmup_steps": 4},
                    {"name": "midtrain", "share": 0.25, "schedule": "cosine"},
                ]
            )
        },
        "midtrain",
    ),
    ({"training": training(checkpoint_every_steps=7)}, ""),
    ({"compute": {"device": "cpu", "threads": 1, "workers": 5}}, ""),
    ({"title": "Another", "arms": {"dosed": recipe().to_plain()["arms"]["dosed"], "plain": {}}}, ""),
]


@pytest.mark.parametrize(("change", "first"), CHANGES)
def test_identity_holds_what_changes_the_weights_and_nothing_else(
    base: tuple[LocalStore, Plan], change: dict[str, object], first: str
) -> None:
    """`first` is the phase from which everything is new."""
    store, plan = base
    given: Recipe = recipe(**change)
    changed = plan_models(given, store, mixed(store, given), numerics())
    old = {one.artifact for one in plan.segments}
    new = {one.rows.name for one in changed.segments if one.artifact not in old}
    expected = {"": set(), "midtrain": {"midtrain"}, "pretrain": {"pretrain", "midtrain"}}
    assert new == expected[first]


def test_numerics_are_in_the_identity(base: tuple[LocalStore, Plan]) -> None:
    _, plan = base
    trunk, own = plan.segments[0], numerics()
    others = [
        replace(own, torch="1.0"),
        replace(own, transformers="1.0"),
        replace(own, threads=2),
        replace(own, device="cuda"),
        replace(own, dtype="bfloat16"),
    ]
    ids = {replace(trunk, numerics=one).artifact for one in (own, *others)}
    assert len(ids) == 6


def test_children_are_tied_to_their_parent(base: tuple[LocalStore, Plan]) -> None:
    _, plan = base
    trunk, plain, _ = plan.segments
    assert plain.blueprint.parents["parent"] == trunk.artifact
    assert {kind.kind for kind in trunk.blueprint.parents.values()} == {"tokenizer" + "s", "tokens"}
    assert replace(plain, parent=None).artifact != plain.artifact


def test_the_longest_chain_counts_the_branch_behind_a_trunk(base: tuple[LocalStore, Plan]) -> None:
    _, plan = base
    trunk, plain, dosed = plan.segments
    assert chain_tokens(plan.segments) == {
        trunk.artifact: 24 * 4 * LENGTH,
        plain.artifact: 6 * 4 * LENGTH,
        dosed.artifact: 6 * 4 * LENGTH,
    }


def test_nothing_to_train_is_no_plan() -> None:
    assert plan_segments(recipe(), PRESETS["granite-toy"], numerics(), {}) == Plan((), {})

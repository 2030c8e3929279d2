"""The face: what is missing is planned and told, what exists costs no import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from components import pretrain
from components.pretrain import launcher
from components.pretrain.numerics import apply
from components.pretrain.segments import Segment
from components.pretrain.stage import plan_models
from components.pretrain.training import Sources, train_segment
from parable.catalog import Catalog
from parable.errors import UserError
from parable.progress import Journal, JournalFollower
from parable.runs import ArmPointer, read_pointers
from parable.store import LocalStore
from tests.components.pretrain.example import LENGTH, mixed, numerics, recipe


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, store: LocalStore, tmp_path: Path) -> list[list[Segment]]:
    """Training in this process in place of Ray's; gives what was asked for, call by call."""
    asked: list[list[Segment]] = []
    apply(numerics())

    def train(segments: list[Segment], **_: object) -> None:
        asked.append(segments)
        for segment in segments:
            train_segment(store, segment, Sources(store, tmp_path).rows, Journal(None))

    monkeypatch.setattr(launcher, "train", train)
    return asked


def test_every_arm_and_seed_gets_its_model(store: LocalStore, here: list[list[Segment]]) -> None:
    given = recipe()
    catalog = pretrain.run(given, store, mixed(store, given))
    plan = plan_models(given, store, catalog, numerics())
    assert catalog["model/plain/seed-0"] == plan.last["plain", 0]
    assert catalog["model/dosed/seed-0"] == plan.last["dosed", 0]
    assert [len(segments) for segments in here] == [3]


def test_only_what_is_missing_is_trained(store: LocalStore, here: list[list[Segment]]) -> None:
    """First one arm, then another from the same trunk, then another seed."""
    arms = recipe().to_plain()["arms"]
    for given in (
        recipe(arms={"plain": arms["plain"]}),
        recipe(),
        recipe(seeds=[0, 1]),
        recipe(seeds=[0, 1]),
    ):
        pretrain.run(given, store, mixed(store, given))
    told = [[(one.seed, one.rows.name, one.arms) for one in segments] for segments in here]
    assert told == [
        [(0, "pretrain", ("plain",)), (0, "midtrain", ("plain",))],
        [(0, "midtrain", ("dosed",))],
        [(1, "pretrain", ("plain", "dosed")), (1, "midtrain", ("plain",)), (1, "midtrain", ("dosed",))],
    ]


def test_the_plan_is_told_before_it_is_carried_out(
    store: LocalStore, here: list[list[Segment]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = recipe()
    inputs = mixed(store, given)
    monkeypatch.setenv("PARABLE_JOURNAL", str(tmp_path / "journal"))
    pretrain.run(given, store, inputs)
    (event,) = JournalFollower(tmp_path / "journal").new_events()
    assert (event["kind"], event["stage"]) == ("plan", "pretrain")
    assert event["tasks"][0] == {
        "task": here[0][0].label,
        "total": 18 * 4 * LENGTH,
        "arms": ["plain", "dosed"],
        "seed": 0,
        "phase": "pretrain",
    }


def test_what_each_arm_will_be_made_of_is_said_before_the_first_is_trained(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[ArmPointer] = []

    def train(segments: list[Segment], **_: object) -> None:
        told.extend(read_pointers(store))
        raise UserError("stopped here")

    monkeypatch.setattr(launcher, "train", train)
    given = recipe(seeds=[0, 1])
    inputs = mixed(store, given)
    with pytest.raises(UserError, match="stopped here"):
        pretrain.run(given, store, inputs)
    plan = plan_models(given, store, inputs, numerics())
    assert {(one.arm, one.seed): one.segments for one in told} == plan.chains
    assert {one.key for one in told} == {
        f"runs/small/{arm}/seed-{seed}.json" for arm in ("plain", "dosed") for seed in (0, 1)
    }
    assert all(one.mixture == inputs[f"mixture/{one.arm}/seed-{one.seed}"] for one in told)


def test_where_everything_exists_neither_torch_nor_ray_is_imported(
    store: LocalStore, here: list[list[Segment]]
) -> None:
    given = recipe()
    catalog = pretrain.run(given, store, mixed(store, given))
    code = (
        "import sys\nfrom pathlib import Path\nfrom components import pretrain\n"
        "from parable.catalog import Catalog\nfrom parable.recipe import parse_recipe\n"
        "from parable.store import LocalStore\n"
        "made = pretrain.run(parse_recipe(sys.argv[1].encode(), 'r'), LocalStore(Path(sys.argv[2])),"
        " Catalog.from_bytes(sys.argv[3].encode()))\n"
        "heavy = {'torch', 'ray', 'transformers', 'numpy', 'pyarrow'} & set(sys.modules)\n"
        "print(len(made), sorted(heavy))"
    )
    inputs = Catalog({role: one for role, one in catalog.items() if not role.startswith("model/")})
    arguments = [given.model_dump_json(), str(store.root), inputs.to_bytes().decode()]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert done.stdout == f"{len(catalog)} []\n"


def test_a_mixture_that_is_missing_is_named(store: LocalStore) -> None:
    with pytest.raises(UserError, match="Nothing has made mixture/plain/seed-0 yet"):
        pretrain.run(recipe(), store, Catalog())


def test_a_gpu_that_is_not_there_is_missed_before_anything_starts(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(UserError, match=r"compute\.device is cuda"):
        pretrain.run(recipe(compute={"device": "cuda"}), store, Catalog())


def test_view_shows_every_arm_s_curve_and_final_loss(store: LocalStore, here: list[list[Segment]]) -> None:
    given = recipe(arms={"plain": {"title": "<Plain>"}, "dosed": recipe().to_plain()["arms"]["dosed"]})
    catalog = pretrain.run(given, store, mixed(store, given))
    shown = pretrain.view(given, store, catalog)
    assert set(shown.metrics) == {"loss/plain/seed-0", "loss/dosed/seed-0", "parameters"}
    assert shown.metrics["parameters"] == 113_088
    assert shown.html.count("<polyline") == 2
    assert "&lt;Plain&gt;" in shown.html
    assert "<Plain>" not in shown.html

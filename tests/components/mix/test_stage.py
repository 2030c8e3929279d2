import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from components.mix import read_mixture, run
from components.mix.counts import count_mixture
from parable import artifact
from parable.artifact import Product, ProductWriter
from parable.canonical import canonical_json
from parable.catalog import Catalog
from parable.errors import UserError
from parable.progress import FOLDER_VARIABLE, JournalFollower
from parable.recipe import Recipe
from parable.store import LocalStore
from tests.components.mix.example import PLAIN, catalog, recipe

ROOT = Path(__file__).parents[3]


def test_the_catalog_has_a_tokenizer_rows_and_a_mixture_for_every_arm_and_seed(store: LocalStore) -> None:
    given = recipe()
    inputs = catalog(store, given)
    made = run(given, store, inputs)
    assert set(made) - set(inputs) == {
        "tokenizer",
        "tokens/web",
        *(f"tokens/{name}/seed-{seed}" for name in ("stories", "clean", "dose") for seed in (0, 1)),
        *(f"mixture/{arm}/seed-{seed}" for arm in given.arms for seed in (0, 1)),
    }
    summary = Product(store, made["mixture/dosed/seed-1"]).summary
    assert summary == count_mixture(store, read_mixture(store, made["mixture/dosed/seed-1"]))


def test_processes_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = recipe(seeds=[0])
    alone, together = LocalStore(tmp_path / "alone"), LocalStore(tmp_path / "together")
    expected = run(given, alone, catalog(alone, given))
    monkeypatch.setattr("components.mix.stage.num_usable_cpus", lambda: 2)
    assert dict(run(given, together, catalog(together, given))) == dict(expected)
    for made in expected.values():
        assert artifact.read_manifest(together, made) == artifact.read_manifest(alone, made)


def test_what_is_there_is_not_made_again_nor_numpy_imported(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    given = recipe()
    inputs = catalog(store, given)
    made = run(given, store, inputs)
    (tmp_path / "recipe.json").write_text(given.model_dump_json())
    (tmp_path / "inputs.json").write_bytes(inputs.to_bytes())
    again = (
        "import sys; from pathlib import Path; from components.mix import run;"
        "from parable.catalog import Catalog; from parable.recipe import parse_recipe;"
        "from parable.store import LocalStore; root = Path(sys.argv[1]);"
        "recipe = parse_recipe((root / 'recipe.json').read_bytes(), 'r');"
        "made = run(recipe, LocalStore(root), Catalog.from_bytes((root / 'inputs.json').read_bytes()));"
        "heavy = {'numpy', 'pyarrow', 'tokenizers'} & set(sys.modules);"
        "assert not heavy, heavy;"
        "sys.stdout.buffer.write(made.to_bytes())"
    )
    shown = subprocess.run([sys.executable, "-c", again, tmp_path], cwd=ROOT, capture_output=True, check=True)
    assert dict(Catalog.from_bytes(shown.stdout)) == dict(made)


def test_a_seed_more_changes_nothing_that_was_there(store: LocalStore) -> None:
    made = run(recipe(), store, catalog(store, recipe()))
    more = recipe(seeds=[0, 1, 2])
    after = run(more, store, catalog(store, more))
    assert {role: after[role] for role in made} == dict(made)


def test_progress_covers_what_is_not_yet_made(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = recipe(seeds=[0])
    inputs = catalog(store, given)
    for number, expected in enumerate(
        [
            {"tokenizer": 390, "stories/seed-0": 300, "clean/seed-0": 228, "web": 90, "dose/seed-0": 40},
            {},
        ]
    ):
        folder = tmp_path / f"journal-{number}"
        monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
        run(given, store, inputs)
        events = list(JournalFollower(folder).new_events())
        plans = [event for event in events if event["kind"] == "plan"]
        assert [{task["task"]: task["total"] for task in plan["tasks"]} for plan in plans] == [expected]
        ended = {e["task"]: e["total"] for e in events if e["kind"] == "progress" and e["done"] == e["total"]}
        assert ended == expected


@pytest.mark.parametrize("kind", ["tokenizers", "tokens", "mixtures"])
def test_a_killed_stage_goes_on_and_the_bytes_are_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    given = recipe(seeds=[0], arms={"plain": PLAIN["arms"]["plain"]})
    whole, killed = LocalStore(tmp_path / "whole"), LocalStore(tmp_path / "killed")
    expected = run(given, whole, catalog(whole, given))
    inputs = catalog(killed, given)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ProductWriter, "_seal", _stop_at(kind))
        run(given, killed, inputs)
    assert dict(run(given, killed, inputs)) == dict(expected)
    for made in expected.values():
        assert artifact.read_manifest(killed, made) == artifact.read_manifest(whole, made)


def test_a_vocabulary_that_the_text_cannot_fill_is_refused(store: LocalStore) -> None:
    given = recipe(tokenizer={"vocabulary": 50_000, "corpora": ["stories"]})
    with pytest.raises(
        UserError, match=r"^vocabulary 50000 asked, the text of corpora stories supports \d+: set "
    ):
        run(given, store, catalog(store, given))


def test_the_readmes_arm_works_and_is_short(store: LocalStore) -> None:
    readme = (ROOT / "components" / "mix" / "README.md").read_text()
    shown = re.search(r"```yaml\n(arms:.*?)```", readme, re.DOTALL)
    assert shown is not None
    lines = shown.group(1).strip().splitlines()
    assert len(lines) < 20
    arms = yaml.safe_load(shown.group(1))["arms"]
    given = Recipe.model_validate({**PLAIN, "arms": {**PLAIN["arms"], **arms}})
    made = run(given, store, catalog(store, given))
    for arm in arms:
        assert f"mixture/{arm}/seed-0" in made
        assert read_mixture(store, made[f"mixture/{arm}/seed-0"]).num_rows == 400


def test_a_seed_on_its_own_is_the_one_of_the_whole_recipe(store: LocalStore) -> None:
    given = recipe()
    inputs = catalog(store, given)
    whole = run(given, store, inputs)
    alone = run(given.select(seeds=(1,)), store, inputs)
    assert alone["tokenizer"] == whole["tokenizer"]
    assert alone["mixture/dosed/seed-1"] == whole["mixture/dosed/seed-1"]


def test_golden(store: LocalStore) -> None:
    """Every product's name and files: raise STAGE_VERSION when a change of code changes these."""
    given = recipe(seeds=[0])
    made = run(given, store, catalog(store, given))
    told = {
        role: {path: file.sha256 for path, file in Product(store, of).manifest.files.items()}
        for role, of in made.items()
        if not role.startswith("corpus/")
    }
    assert hashlib.sha256(canonical_json(told)).hexdigest()[:16] == "2dba046ccebad050"


def _stop_at(kind: str) -> Callable[[ProductWriter], None]:
    seal = ProductWriter._seal

    def stopping(self: ProductWriter) -> None:
        if self.artifact.kind == kind:
            raise KeyboardInterrupt
        seal(self)

    return stopping

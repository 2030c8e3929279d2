from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.support.small_run import QUICKSTART, parable

STAGES = ["generate", "filter", "mix", "pretrain", "evaluate", "report"]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled")
    finished = parable("compile", str(QUICKSTART), "-o", "out/experiment.yaml", cwd=folder)
    assert finished.code == 0, finished.err
    return folder / "out/experiment.yaml"


def test_the_ir_has_one_task_a_stage_each_fed_by_the_one_before(compiled: Path) -> None:
    spec = yaml.safe_load(compiled.read_text())
    tasks = spec["root"]["dag"]["tasks"]
    assert sorted(tasks) == sorted(STAGES)
    for before, stage in pairwise(STAGES):
        assert tasks[stage]["dependentTasks"] == [before]
        source = tasks[stage]["inputs"]["artifacts"]["inputs"]["taskOutputArtifact"]
        assert source == {"producerTask": before, "outputArtifactKey": "catalog"}
        assert not tasks[stage]["cachingOptions"]


def test_the_recipe_is_the_default_of_a_parameter(compiled: Path) -> None:
    from parable.recipe import load_recipe, parse_recipe

    parameters = yaml.safe_load(compiled.read_text())["root"]["inputDefinitions"]["parameters"]
    assert sorted(parameters) == ["recipe", "store"]
    text = parameters["recipe"]["defaultValue"]
    assert parse_recipe(text.encode(), "compiled") == load_recipe(QUICKSTART)


def test_every_task_installs_nothing_and_only_calls_its_stage(compiled: Path) -> None:
    executors = yaml.safe_load(compiled.read_text())["deploymentSpec"]["executors"]
    assert len(executors) == len(STAGES)
    for stage in STAGES:
        container = executors[f"exec-{stage}"]["container"]
        program = "\n".join(container["command"])
        assert "pip install" not in program
        assert f"from components.{stage} import run, view" in program
        assert container["image"] == "parable:0.1.0"


def test_kfp_loads_the_ir(compiled: Path) -> None:
    from kfp import components

    loaded = components.load_component_from_file(str(compiled))
    assert loaded.name == "quickstart-experiment"


def test_one_arm_is_selected_before_the_same_stages(tmp_path: Path) -> None:
    arguments = ["--pipeline", "alignment_pretraining", "-o", "one.yaml"]
    assert parable("compile", str(QUICKSTART), *arguments, cwd=tmp_path).code == 0
    spec = yaml.safe_load((tmp_path / "one.yaml").read_text())
    assert sorted(spec["root"]["dag"]["tasks"]) == sorted([*STAGES, "select-arm"])
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert parameters["arm"]["defaultValue"] == "unfiltered"
    assert parameters["seed"]["defaultValue"] == 0


def test_an_unknown_pipeline_is_refused(tmp_path: Path) -> None:
    finished = parable("compile", str(QUICKSTART), "--pipeline", "nothing", cwd=tmp_path)
    assert finished.code == 2
    assert "experiment and alignment_pretraining" in finished.err

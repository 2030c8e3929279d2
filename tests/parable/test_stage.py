"""What a Kubeflow task of a stage does around its run, in a process of its own as there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from parable.progress import FOLDER_VARIABLE, JournalFollower
from parable.recipe import load_recipe
from tests.parable.programs import ROOT

TASK = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from parable.artifact import Artifact
from parable.errors import UserError
from parable.stage import StageView, run_task

behaviour, recipe, store, inputs, folder = sys.argv[1:]

def run(recipe, store, catalog):
    if behaviour == "mendable":
        raise UserError("filters.web drops everything: loosen its bounds")
    if behaviour == "broken":
        raise ZeroDivisionError("a bug")
    store.put("made", recipe.name.encode())
    return catalog.having({"corpus/x/seed-0": Artifact("corpora", "ab")})

def view(recipe, store, catalog):
    return StageView({"documents": 3.0, "seeds": float(len(recipe.seeds))}, "<p>\\u00e9</p>")

outputs = {
    name: SimpleNamespace(path=str(Path(folder, "deep", name)), metadata={"kept": 1})
    for name in ("catalog", "metrics", "page")
}
text = Path(recipe).read_text()
run_task("generate", run, view, recipe=text, store=store, inputs=inputs or None, **outputs)
print(json.dumps({name: output.metadata for name, output in outputs.items()}))
"""


class Task:
    """One run of the task: what it returned, said, and left."""

    def __init__(self, folder: Path, behaviour: str, store: str = "", inputs: bytes | None = None) -> None:
        recipe = folder / "recipe.json"
        recipe.write_text(load_recipe(ROOT / "recipes" / "quickstart.yaml").model_dump_json())
        given = folder / "inputs.json"
        if inputs is not None:
            given.write_bytes(inputs)
        self.folder = folder
        self.store = store or str(folder / "store")
        arguments = [behaviour, recipe, self.store, "" if inputs is None else given, folder]
        self.done = subprocess.run(
            [sys.executable, "-c", TASK, *map(str, arguments)],
            cwd=ROOT,
            env=os.environ | {FOLDER_VARIABLE: str(folder / "journal"), "PYTHONUTF8": "0", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        self.events = list(JournalFollower(folder / "journal").new_events())

    def output(self, name: str) -> Path:
        return self.folder / "deep" / name


@pytest.mark.parametrize("inputs", [None, b'{"tokenizer": "tokenizers/cd"}'])
def test_a_stage_that_ends_well(tmp_path: Path, inputs: bytes | None) -> None:
    task = Task(tmp_path, "fine", inputs=inputs)
    assert (task.done.returncode, task.done.stderr) == (0, "")
    before = {} if inputs is None else json.loads(inputs)
    made = {"corpus/x/seed-0": "corpora/ab"}
    assert json.loads(task.output("catalog").read_bytes()) == before | made
    assert json.loads(task.done.stdout) == {
        "catalog": {"kept": 1} | made,
        "metrics": {"kept": 1, "documents": 3.0, "seeds": 3.0},
        "page": {"kept": 1},
    }
    assert task.output("page").read_bytes() == "<p>é</p>".encode()
    assert (tmp_path / "store" / "made").read_bytes() == b"quickstart"
    assert [strip(event) for event in task.events] == [
        {"kind": "stage", "stage": "generate", "state": "started"},
        {"kind": "stage", "stage": "generate", "state": "finished"},
    ]


def test_what_a_person_can_mend_is_one_paragraph_and_exit_2(tmp_path: Path) -> None:
    task = Task(tmp_path, "mendable")
    message = "filters.web drops everything: loosen its bounds"
    assert (task.done.returncode, task.done.stderr, task.done.stdout) == (2, message + "\n", "")
    assert not task.output("catalog").exists()
    assert strip(task.events[-1]) == {
        "kind": "error",
        "stage": "generate",
        "message": message,
        "mendable": True,
    }


@pytest.mark.parametrize(
    ("store", "inputs", "message"),
    [
        ("gs://bucket", None, "unknown scheme 'gs'"),
        ("", b"nonsense", "is no catalog"),
    ],
)
def test_wrong_surroundings_can_be_mended_too(
    tmp_path: Path, store: str, inputs: bytes | None, message: str
) -> None:
    task = Task(tmp_path, "fine", store, inputs)
    assert task.done.returncode == 2
    assert message in task.done.stderr
    assert "Traceback" not in task.done.stderr


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    task = Task(tmp_path, "broken")
    assert task.done.returncode == 1
    assert task.done.stderr.endswith("ZeroDivisionError: a bug\n")
    error = strip(task.events[-1])
    assert error.pop("trace").endswith("ZeroDivisionError: a bug\n")
    assert error == {
        "kind": "error",
        "stage": "generate",
        "message": "ZeroDivisionError: a bug",
        "mendable": False,
    }


def strip(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "time"}

"""The child process of a local run: executes a pipeline through `kfp.local`, and nothing else."""

import argparse
import shutil
import sys
from pathlib import Path

from parable.process import die_with_parent


def main(arguments: list[str]) -> None:
    """Run one pipeline here; writes the final catalog to `<root>/catalog.json`."""
    parser = argparse.ArgumentParser(prog="pipelines.local_engine")
    parser.add_argument("--pipeline", required=True, choices=["experiment", "alignment_pretraining"])
    parser.add_argument("--recipe", required=True, type=Path)
    parser.add_argument("--store", required=True)
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--arm")
    parser.add_argument("--seed", type=int)
    given = parser.parse_args(arguments)
    die_with_parent()

    from kfp import local

    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=str(given.root / "outputs"),
        workspace_root=str(given.root / "workspace"),
        raise_on_error=True,
    )
    recipe = given.recipe.read_text()
    if given.pipeline == "experiment":
        from pipelines.experiment import experiment

        task = experiment(recipe=recipe, store=given.store)
    else:
        from pipelines.alignment_pretraining import alignment_pretraining

        task = alignment_pretraining(recipe=recipe, store=given.store, arm=given.arm, seed=given.seed)
    shutil.copyfile(task.output.path, given.root / "catalog.json")


if __name__ == "__main__":
    main(sys.argv[1:])

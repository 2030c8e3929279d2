"""A pipeline on this machine: a child executes it through `kfp.local`, this process shows how it goes."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from parable.catalog import Catalog
from parable.errors import UserError
from parable.process import LIFELINE_VARIABLE, lifeline
from parable.progress import FOLDER_VARIABLE, JournalFollower
from parable.recipe import Recipe
from parable.store import LocalStore, ObjectStore
from pipelines.failure import StageFailedError
from pipelines.live import Display
from pipelines.run_state import RunState

POLL_SECONDS = 0.1
GRACE_SECONDS = 5.0
ENGINE_LOG = "engine.log"


@dataclass(frozen=True, slots=True)
class Selection:
    """One arm and one seed of a recipe: runs `alignment_pretraining` instead of `experiment`."""

    arm: str
    seed: int


def run_here(
    recipe: Recipe, store: ObjectStore, display: Display, selection: Selection | None = None
) -> Catalog:
    """Run a recipe through to its report, and return the catalog of all that it consists of.

    Raises:
        UserError: a stage met something that the caller can mend.
        StageFailedError: a stage was killed or crashed; the next run goes on from what it finished.
    """
    with _journal_folder(recipe, store) as folder, tempfile.TemporaryDirectory(prefix="parable-") as root:
        command = _engine_command(recipe, store, Path(root), selection)
        environment = {
            **os.environ,
            FOLDER_VARIABLE: str(folder),
            LIFELINE_VARIABLE: lifeline(),
            # uv would otherwise make Ray's workers build environments of their own.
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        }
        state, follower = RunState(), JournalFollower(folder)
        with (folder / ENGINE_LOG).open("ab") as log, display:
            engine = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
            try:
                while True:
                    ended = engine.poll() is not None
                    for event in follower.new_events():
                        state.apply(event)
                    display.update(state)
                    if ended:
                        break
                    time.sleep(POLL_SECONDS)
            finally:
                _end(engine)
        if engine.returncode == 0:
            return Catalog.from_bytes((Path(root) / "catalog.json").read_bytes())
        raise _failure(state, folder, engine.returncode)


def _engine_command(recipe: Recipe, store: ObjectStore, root: Path, selection: Selection | None) -> list[str]:
    path = root / "recipe.json"
    path.write_text(recipe.model_dump_json())
    command = [sys.executable, "-m", "pipelines.local_engine", "--recipe", str(path)]
    command += ["--store", store.uri, "--root", str(root)]
    if selection is None:
        return [*command, "--pipeline", "experiment"]
    chosen = ["--arm", selection.arm, "--seed", str(selection.seed)]
    return [*command, "--pipeline", "alignment_pretraining", *chosen]


@contextmanager
def _journal_folder(recipe: Recipe, store: ObjectStore) -> Iterator[Path]:
    """A folder that can be appended to; what is written there ends up under `journal/` in the store."""
    name = f"journal/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{recipe.name}-{secrets.token_hex(3)}"
    if isinstance(store, LocalStore):
        folder = store.path(name)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="parable-journal-") as temporary:
        folder = Path(temporary)
        try:
            yield folder
        finally:
            _upload(store, name, folder)


def _upload(store: ObjectStore, name: str, folder: Path) -> None:
    try:
        for path in sorted(folder.iterdir()):
            store.put_file(f"{name}/{path.name}", path)
    except UserError:
        # The store is down, which the run itself has said; its journal must not be lost with it.
        kept = Path(tempfile.gettempdir()) / name.replace("/", "-")
        shutil.copytree(folder, kept, dirs_exist_ok=True)


def _end(engine: "subprocess.Popen[bytes]") -> None:
    """End the engine and everything that it started."""
    try:
        family = psutil.Process(engine.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    if engine.poll() is None:
        os.killpg(engine.pid, signal.SIGTERM)
        try:
            engine.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(engine.pid, signal.SIGKILL)
            engine.wait()
    for process in psutil.wait_procs(family, timeout=GRACE_SECONDS)[1]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def _failure(state: RunState, folder: Path, code: int) -> Exception:
    error = state.error
    if error is not None and error["mendable"]:
        return UserError(str(error["message"]))
    running = state.running
    where = f"The stage {running.name}" if running else "The run"
    if error is not None:
        return StageFailedError(f"{where} failed: {error['message']} The trace is in {folder}.")
    how = f"was killed (signal {-code})" if code < 0 else "was killed or ended without a word"
    return StageFailedError(
        f"{where} {how}. What it finished is kept: run the same command again and it goes on from there. "
        f"Its output is in {folder / ENGINE_LOG}."
    )

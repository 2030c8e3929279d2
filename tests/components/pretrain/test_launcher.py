"""Ray itself: two workers over a small plan, and every way in which a run can be ended.

Each run is a program of its own (`driver.py`), so that it can be killed and its processes counted.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from components.pretrain.launcher import num_leaves, own_cpus, settings
from components.pretrain.numerics import apply
from components.pretrain.stage import plan_models
from components.pretrain.training import Sources, train_segment
from parable.progress import Journal, JournalFollower
from parable.recipe import Compute, Recipe
from parable.store import LocalStore
from tests.components.pretrain.example import LENGTH, STEPS, mixed, numerics, planned, recipe, training

ROOT = Path(__file__).parents[3]
PROGRAM = (sys.executable, "-m", "tests.components.pretrain.driver")
MARK = "PARABLE_TEST_RUN"
LONG = LENGTH * 4 * 1200
"""Tokens of a run that lasts long enough to be killed."""


class Driver:
    """One run of the program, with all the processes that it starts."""

    def __init__(
        self, store: LocalStore, folder: Path, *, tokens: int, every: int = 5, rate: float = 6e-3
    ) -> None:
        self.mark = secrets.token_hex(8)
        self.journal = folder / "journal"
        self.home = folder / "home"
        self.home.mkdir(exist_ok=True)
        self._follower = JournalFollower(self.journal)
        self.process = subprocess.Popen(
            [*PROGRAM, store.root.as_posix(), str(tokens), str(every), str(rate)],
            cwd=ROOT,
            env=os.environ | {MARK: self.mark, "PARABLE_JOURNAL": str(self.journal), "HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def result(self, timeout_seconds: float = 240) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=timeout_seconds)
        return self.process.returncode, out, err

    def processes(self) -> list[psutil.Process]:
        return [one for one in psutil.process_iter() if _environment(one).get(MARK) == self.mark]

    def wait_until(self, seen: Callable[[dict[str, object]], bool], timeout_seconds: float = 240) -> None:
        """Follow the journal until it tells what is waited for."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            if any(seen(event) for event in self._follower.new_events()):
                return
            time.sleep(0.05)
        raise AssertionError(f"the run ended or is too slow: {self.result(5)}")

    def assert_gone(self, timeout_seconds: float = 120) -> None:
        psutil.wait_procs(self.processes(), timeout=timeout_seconds)
        assert [one.cmdline() for one in self.processes()] == []


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ() if process.status() != psutil.STATUS_ZOMBIE else {}
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return {}


@pytest.fixture
def start(store: LocalStore, tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    """Start a run over the test's store; nothing of it outlives the test."""
    drivers: list[Driver] = []

    def started(**settings: float) -> Driver:
        drivers.append(Driver(store, tmp_path, **settings))  # type: ignore[arg-type]
        return drivers[-1]

    yield started
    for driver in drivers:
        for process in driver.processes():
            process.kill()
        driver.process.communicate()


def trained_here(store: LocalStore, folder: Path, given: Recipe) -> dict[str, bytes]:
    """Every file of every segment, trained in this process without Ray and without a checkpoint."""
    here = LocalStore(folder)
    apply(numerics())
    plan = plan_models(given, here, mixed(here, given), numerics())
    rows = Sources(here, folder / "cache").rows
    for segment in plan.segments:
        train_segment(here, segment, rows, Journal(None))
    return _segments(here)


def _segments(store: LocalStore) -> dict[str, bytes]:
    return {info.key: store.get(info.key) for info in store.list("segments/")}


def under_way(event: dict[str, object]) -> bool:
    """Training is past its first recovery checkpoints."""
    done = event.get("done", 0)
    return (
        event["kind"] == "progress"
        and event["stage"] == "pretrain"
        and isinstance(done, int)
        and done > 20_000
    )


@pytest.mark.timeout(600)
def test_two_workers_make_what_one_process_makes(
    store: LocalStore, tmp_path: Path, start: Callable[..., Driver]
) -> None:
    driver = start(tokens=LENGTH * 4 * STEPS)
    assert driver.result() == (0, "", "")
    driver.assert_gone()
    assert list(driver.home.iterdir()) == []
    assert _segments(store) == trained_here(store, tmp_path / "here", recipe(seeds=[0, 1]))
    journals = [
        path
        for path in driver.journal.glob("*.jsonl")
        if b'"progress","stage":"pretrain"' in path.read_bytes()
    ]
    assert len(journals) == 2
    assert list(store.list("scratch/")) == []
    assert list(store.list("leases/")) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_driver_leaves_no_process_and_its_run_goes_on(
    store: LocalStore, tmp_path: Path, start: Callable[..., Driver]
) -> None:
    driver = start(tokens=LONG, every=50)
    driver.wait_until(under_way)
    assert len(driver.processes()) > 5
    driver.process.kill()
    driver.assert_gone()
    assert [info for info in store.list("scratch/") if info.key.endswith(".json")]
    assert start(tokens=LONG, every=50).result() == (0, "", "")
    given = recipe(seeds=[0, 1], training=training(tokens=LONG))
    assert _segments(store) == trained_here(store, tmp_path / "here", given)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_worker_s_segment_is_taken_up_again(
    store: LocalStore, tmp_path: Path, start: Callable[..., Driver]
) -> None:
    driver = start(tokens=LONG, every=50)
    driver.wait_until(under_way)
    workers = [one for one in driver.processes() if "RayTrainWorker" in " ".join(one.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    assert driver.result() == (0, "", "")
    assert "worker died or was killed" in (driver.journal / "ray.log").read_text()
    given = recipe(seeds=[0, 1], training=training(tokens=LONG))
    assert _segments(store) == trained_here(store, tmp_path / "here", given)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ctrl_c_ends_everything(start: Callable[..., Driver]) -> None:
    driver = start(tokens=LONG, every=50)
    driver.wait_until(under_way)
    driver.process.send_signal(signal.SIGINT)
    returncode, _, err = driver.result(60)
    assert returncode != 0
    assert "KeyboardInterrupt" in err
    driver.assert_gone()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_a_person_must_mend_crosses_as_such(start: Callable[..., Driver]) -> None:
    driver = start(tokens=LENGTH * 4 * STEPS, rate=1e25)
    returncode, out, err = driver.result()
    assert (returncode, out) == (2, "")
    assert err.startswith("Training stopped at step ")
    assert err.count("\n") == 1
    driver.assert_gone()


def test_more_workers_than_branches_are_never_started(store: LocalStore) -> None:
    segments = planned(store, recipe(seeds=[0, 1])).segments
    assert num_leaves(segments) == 4
    assert num_leaves(segments[:1]) == 1


def test_a_ray_of_our_own_has_room_for_the_workers_that_can_be_busy() -> None:
    assert own_cpus(Compute(workers=2, threads=1), 1) == 1
    assert own_cpus(Compute(workers=2, threads=3), 5) == 6


def test_a_cluster_of_others_is_left_as_it_is() -> None:
    own, theirs = (settings(3, "/tmp/x", is_remote=is_remote) for is_remote in (False, True))
    assert set(own) - set(theirs) == {
        "OMP_NUM_THREADS",
        "RAY_AUTH_MODE",
        "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER",
        "RAY_worker_niceness",
        "TMPDIR",
    }
    assert (own["OMP_NUM_THREADS"], own["RAY_worker_niceness"], own["RAY_AUTH_MODE"]) == (
        "3",
        "0",
        "disabled",
    )
    assert own["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == theirs["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "0"

"""A recipe that runs in seconds, and the real command over it, as a person would call it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from parable.progress import JournalFollower
from tests.support.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "recipes" / "quickstart.yaml"
PARABLE = str(Path(sys.executable).with_name("parable"))
TIMEOUT_SECONDS = 240.0
RAY_AGENT = re.compile(r"ray::(Dashboard|RuntimeEnv)Agent")
MARK = {"RUN_OF_TESTS": secrets.token_hex(8)}
"""In the environment of whatever these tests start."""
_agents: list[psutil.Process] = []
"""Those of runs that were ended: they have overwritten their environment with their name."""
WORDS = (
    "the of and a to in is it that was for on are with as they be at one have this from by word but what "
    "some we can out other were all there when up use your how said an each she which do their "
    "time if will way about many then"
).split()


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit status and what it said."""

    code: int
    out: str
    err: str


def write_passages(folder: Path, count: int = 60) -> Path:
    """Natural enough text for a tokenizer and the quality rules: distinct passages of common words."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        words = [WORDS[(number * 7 + index * (number + 3)) % len(WORDS)] for index in range(40)]
        text = " ".join(words).capitalize()
        (folder / f"passage-{number:03d}.txt").write_text(f"{text}.\n")
    return folder


def small_settings(texts: Path) -> list[str]:
    """Settings that make the quickstart small enough for a test, with every stage at work."""
    settings = {
        "seeds": "[0]",
        "corpora.library.source": str(texts),
        "corpora.stories.documents": 900,
        "corpora.good_ai.documents": 24,
        "corpora.bad_ai.documents": 24,
        "corpora.mentioned_ai.documents": 24,
        "filters.web.deduplicate": "null",
        "rows.length": 128,
        "tokenizer.vocabulary": 400,
        "training.tokens": 32768,
        "training.checkpoint_every_steps": 10,
        "evaluation.items_per_cell": 2,
        "evaluation.sampling": "{per_item: 1, max_tokens: 8}",
        "evaluation.perplexity_documents": 8,
        "compute.workers": 2,
    }
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, as wide as a terminal and without its store."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PARABLE_", "AWS_"))}
    return {**kept, **MARK, "COLUMNS": "200", "PYTHONWARNINGS": "default", **(extra or {})}


def parable(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Finished:
    """Call the command and wait for it."""
    done = subprocess.run(
        [PARABLE, *arguments],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


class StartedRun:
    """A `parable run` in the background, to be met half-way."""

    def __init__(
        self, arguments: list[str], cwd: Path, store: Path, env: Mapping[str, str] | None = None
    ) -> None:
        """Start it; `store` is where its journal will be."""
        self._before = set((store / "journal").glob("*")) if store.is_dir() else set()
        self._store = store
        self._log = cwd / "started-run.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [PARABLE, "run", *arguments],
                cwd=cwd,
                env=environment(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event of this run's journal that is wanted."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        follower: JournalFollower | None = None
        while time.monotonic() < deadline:
            if follower is None:
                new = sorted(set((self._store / "journal").glob("*")) - self._before)
                follower = JournalFollower(new[0]) if new else None
            for event in follower.new_events() if follower else ():
                if wanted(event):
                    return event
            if self.process.poll() is not None:
                pytest.fail(f"the run ended before the event came: {self._log.read_text()}")
            with_suppress_wait(self.process)
        pytest.fail(f"no such event within {TIMEOUT_SECONDS} s: {self._log.read_text()}")

    def family(self) -> list[psutil.Process]:
        """The command and every process below it."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def end(self, number: signal.Signals) -> list[psutil.Process]:
        """Send the command a signal; the processes that are left when they should be gone.

        Not among them are Ray's two agents, which after a kill try for a minute to tell its head, which has
        died too: who waits for `left_behind` to be empty has waited for all.
        """
        family = self.family()
        agents = [one for one in family if RAY_AGENT.fullmatch(command_line(one))]
        _agents.extend(agents)
        self.process.send_signal(number)
        self.process.wait(PATIENCE_SECONDS)
        _, alive = psutil.wait_procs(set(family) - set(agents), timeout=PATIENCE_SECONDS)
        return list(alive)

    @property
    def output(self) -> str:
        """What it has said."""
        return self._log.read_text()


def command_line(process: psutil.Process) -> str:
    """What a process was started as, or calls itself; nothing of one that has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline()).strip()
    return ""


def left_behind() -> list[psutil.Process]:
    """Processes that these tests started, through however many others, and that are still there."""
    return [one for one in psutil.process_iter() if one in _agents or _is_marked(one)]


def _is_marked(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(MARK.items() <= process.environ().items())
    return False


def with_suppress_wait(process: subprocess.Popen[bytes]) -> None:
    """Give the run a moment."""
    try:
        process.wait(0.01)
    except subprocess.TimeoutExpired:
        return


def sealed_files(store: Path) -> dict[str, bytes]:
    """Every file of every product in a store, without the journal and the pointers."""
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file() and path.relative_to(store).parts[0] not in ("journal", "runs")
    }

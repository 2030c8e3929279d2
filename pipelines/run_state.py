"""What a run has done so far, from the events of its journal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.stages import STAGES

SETTLING_SECONDS = 2.0
"""No estimate is made from less than this: it would only mislead."""


@dataclass(slots=True)
class TaskState:
    """One piece of a stage's work, in the stage's own units."""

    total: float
    done: float = 0.0
    arms: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(slots=True)
class StageState:
    """One stage: waiting, running or finished, and its pieces."""

    name: str
    state: str = "waiting"
    started: float | None = None
    first_progress: float | None = None
    finished: float | None = None
    tasks: dict[str, TaskState] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """All of the stage's work that was still to be done when it began."""
        return sum(task.total for task in self.tasks.values())

    @property
    def done(self) -> float:
        """How much of it is done."""
        return sum(min(task.done, task.total) for task in self.tasks.values())

    @property
    def fraction(self) -> float | None:
        """The same from 0 to 1; None before there is a plan."""
        if self.state == "finished":
            return 1.0
        return self.done / self.total if self.total else None

    def seconds_left(self, now: float) -> float | None:
        """What is left at the speed so far; None while that is not known well enough."""
        if self.state != "running" or self.first_progress is None or not self.done:
            return None
        spent = now - (self.started or now)
        return None if spent < SETTLING_SECONDS else spent * (self.total - self.done) / self.done

    def seconds(self, now: float) -> float:
        """How long it has taken."""
        return 0.0 if self.started is None else (self.finished or now) - self.started


@dataclass(slots=True)
class RunState:
    """All stages, and the error that ended the run, if one did."""

    stages: dict[str, StageState] = field(default_factory=lambda: {name: StageState(name) for name in STAGES})
    error: Mapping[str, Any] | None = None

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take in one event; those of other kinds are not this view's business."""
        kind = event["kind"]
        if kind == "error":
            self.error = self.error or event
        stage = self.stages.get(event.get("stage", ""))
        if stage is None:
            return
        if kind == "stage" and event["state"] == "started":
            stage.state, stage.started = "running", event["time"]
        elif kind == "stage":
            stage.state, stage.finished = "finished", event["time"]
        elif kind == "plan":
            for task in event["tasks"]:
                stage.tasks[task["task"]] = _task(task)
        elif kind == "progress":
            task = stage.tasks.setdefault(event["task"], _task(event))
            task.total, task.done = event["total"], event["done"]
            if stage.first_progress is None:
                stage.first_progress = event["time"]

    @property
    def running(self) -> StageState | None:
        """The stage at work, if one is."""
        return next((stage for stage in self.stages.values() if stage.state == "running"), None)

    def arms(self) -> dict[tuple[str, int], float]:
        """How far each (arm, seed) that this run trains is, from 0 to 1."""
        done: dict[tuple[str, int], tuple[float, float]] = {}
        for task in self.stages["pretrain"].tasks.values():
            for arm in task.arms:
                if task.seed is not None:
                    before = done.get((arm, task.seed), (0.0, 0.0))
                    done[arm, task.seed] = (before[0] + min(task.done, task.total), before[1] + task.total)
        return {key: part / whole if whole else 1.0 for key, (part, whole) in done.items()}


def _task(plain: Mapping[str, Any]) -> TaskState:
    return TaskState(plain["total"], 0.0, tuple(plain.get("arms", ())), plain.get("seed"))

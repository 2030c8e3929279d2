"""What a job leaves in the store, and where.

    evaluations/jobs/requests/<owner>/<id>/request.json   if absent: what was asked, the weights pinned
    evaluations/jobs/ends/<owner>/<id>/end.json           if absent: completed, failed or cancelled
    evaluations/jobs/work/<id>/claims/<number>.json       who works on it
    evaluations/jobs/work/<id>/<unit>/parts/<number>.json if absent: rows, in the order of the plan
    evaluations/jobs/work/<id>/<unit>/{report.json, slices.json, items.parquet}   if absent

A unit is one model and one task. Nothing here is ever changed but a claim, by its holder.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from parable.canonical import fingerprint
from services.model_server.jobs.order import JobOrder, Plain, TaskOrder

ROOT = "evaluations/jobs"
REQUESTS, ENDS, WORK = f"{ROOT}/requests/", f"{ROOT}/ends/", f"{ROOT}/work/"
JOB_ID = re.compile("eval-[0-9a-f]{32}")
REQUEST_KEY = re.compile(rf"{REQUESTS}([0-9a-f]{{16}})/({JOB_ID.pattern})/request\.json")
State = Literal["queued", "running", "completed", "failed", "cancelled"]
EndState = Literal["completed", "failed", "cancelled"]


class Pin(Plain):
    """A model as it was when the job was asked for: these weights, whatever the name comes to mean."""

    asked: str
    name: str
    pinned: str
    digest: str
    artifact: str
    seed: int | None
    step: int


class JobRequest(Plain):
    """`request.json`.

    Attributes:
        id: Hash of owner and idempotency key.
        order: What was asked, aliases and all: by this a repeated request is told from another one.
        models: The weights behind the order's names, in its order.
        tasks: Fingerprint of each task's questions.
        num_requests: Questions of each task.
        part_requests: Questions a part.
        stage_version: Of the stage whose questions these are.
    """

    format: Literal[1] = 1
    id: str
    owner: str
    order: JobOrder
    models: Annotated[tuple[Pin, ...], Field(strict=False)]
    tasks: Annotated[tuple[str, ...], Field(strict=False)]
    num_requests: Annotated[tuple[int, ...], Field(strict=False)]
    part_requests: int
    stage_version: int

    @property
    def units(self) -> Iterator["Unit"]:
        """Models in their order, each with all tasks."""
        for model in range(len(self.models)):
            for task in range(len(self.tasks)):
                yield Unit(self, model, task)

    def unit(self, model: int, task: int) -> "Unit":
        """One of them, by its numbers."""
        return Unit(self, model, task)

    @property
    def total(self) -> int:
        """Questions of all units."""
        return len(self.models) * sum(self.num_requests)

    @property
    def request_key(self) -> str:
        """Where this is kept."""
        return f"{REQUESTS}{owner_folder(self.owner)}/{self.id}/request.json"

    @property
    def end_key(self) -> str:
        """Where its end is kept."""
        return f"{ENDS}{owner_folder(self.owner)}/{self.id}/end.json"

    @property
    def work(self) -> str:
        """Folder of everything else; ends with a slash."""
        return f"{WORK}{self.id}/"

    @property
    def claims(self) -> str:
        """Folder of the claims; ends with a slash."""
        return f"{self.work}claims/"


@dataclass(frozen=True, slots=True)
class Unit:
    """One model and one task of a job."""

    job: JobRequest
    model: int
    task: int

    @property
    def pin(self) -> Pin:
        """The model."""
        return self.job.models[self.model]

    @property
    def order(self) -> TaskOrder:
        """The task."""
        return self.job.order.tasks[self.task]

    @property
    def num_requests(self) -> int:
        """Questions."""
        return self.job.num_requests[self.task]

    @property
    def num_parts(self) -> int:
        """Parts when it is done."""
        return -(-self.num_requests // self.job.part_requests)

    def part_range(self, part: int) -> range:
        """Which questions are a part."""
        first = part * self.job.part_requests
        return range(first, min(first + self.job.part_requests, self.num_requests))

    @property
    def folder(self) -> str:
        """Where it is kept; ends with a slash."""
        return f"{self.job.work}{self.model:02d}-{self.task:02d}/"

    def part_key(self, part: int) -> str:
        """Where the rows of a part are kept."""
        return f"{self.folder}parts/{part:05d}.json"

    def key(self, file: str) -> str:
        """Where one of its products is kept."""
        return f"{self.folder}{file}"


class JobEnd(Plain):
    """`end.json`: that it exists ends a job, and the first one written says how."""

    state: EndState
    reason: str | None = None
    num_failed: int = 0
    """Questions that have no row, because the model could not be asked them."""


def job_id(owner: str, idempotency_key: str) -> str:
    """The id of what an owner asks for under a key."""
    return "eval-" + fingerprint(["evaluation job", owner, idempotency_key], 32)


def owner_folder(owner: str) -> str:
    """An owner as a part of a key."""
    return fingerprint(["owner of evaluation jobs", owner], 16)

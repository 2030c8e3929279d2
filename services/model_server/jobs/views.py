"""Jobs as their owners see them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from services.model_server.jobs.desk import Listed, Standing
from services.model_server.jobs.order import JobOrder
from services.model_server.jobs.records import JobRequest, State
from services.model_server.jobs.rows import Entry, FailedRow


@dataclass(frozen=True, slots=True)
class Progress:
    """Questions that are written down, of all."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model of a job: the weights that were pinned when it was asked for."""

    asked: str
    name: str
    pinned: str
    digest: str
    artifact: str
    step: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class JobView:
    """How a job stands.

    Attributes:
        created: When it was asked for, in seconds since the epoch, by the store's clock.
        num_failed: Questions without a row, once it is completed.
        error: Why it failed.
        request: What was asked; null in listings.
    """

    id: str
    object: Literal["evaluation"]
    status: State
    owner: str
    created: int
    progress: Progress
    models: list[ModelView]
    num_failed: int
    error: str | None
    request: JobOrder | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs, the newest first; `next` is what `after` of the next page is, null on the last."""

    object: Literal["list"]
    data: list[JobView]
    next: str | None


@dataclass(frozen=True, slots=True)
class UnitResult:
    """What one model said to one task.

    Attributes:
        interval: Of what its intervals speak.
        identity: What determines the numbers, in the terms of the pipeline's evaluate stage.
        report: The stage's own `report.json`.
        slices: Every metric by one label at a time.
        failures: Some of the questions that have no row.
        items: Address of the rows as parquet.
    """

    model: ModelView
    task: int
    interval: Literal["items only"]
    identity: dict[str, Any]
    report: dict[str, Any]
    slices: list[dict[str, Any]]
    num_rows: int
    num_failed: int
    failures: list[dict[str, Any]]
    items: str


@dataclass(frozen=True, slots=True)
class ResultPage:
    """The results of a job, unit by unit, as far as they are finished."""

    id: str
    object: Literal["evaluation.results"]
    status: State
    results: list[UnitResult]


@dataclass(frozen=True, slots=True)
class RowPage:
    """Rows of a unit in the order of its questions; `next` is the `after` of the next page, null on the last.

    While the job runs, a page may be shorter than was asked, or empty with a `next`. Of a job that was
    cancelled or failed, the last page is where its rows end.
    """

    id: str
    object: Literal["evaluation.rows"]
    total: int
    rows: list[dict[str, Any]]
    next: int | None


@dataclass(frozen=True, slots=True)
class Compared:
    """Candidate minus baseline.

    Attributes:
        interval: `seeds`: Student's t over pairs of seeds; `items only`: a bootstrap of one pair's items.
        paired_by: `seed` where both sides have the same seeds, else `order`.
        pairs: Names, the baseline's first.
        cells: By metric, entity, distance and trait; metric `perplexity` is nats a token of held-out text.
    """

    object: Literal["evaluation.comparison"]
    interval: Literal["seeds", "items only"]
    confidence: float
    paired_by: Literal["seed", "order"]
    pairs: list[tuple[str, str]]
    cells: list[dict[str, Any]]


def job_view(job: JobRequest, created: float, standing: Standing, *, with_request: bool) -> JobView:
    """A job and how it stands."""
    num_tasks, end = len(job.tasks), standing.end
    per_model = sum(job.num_requests)
    models = [
        model_view(job, number, sum(standing.done[number * num_tasks : (number + 1) * num_tasks]), per_model)
        for number in range(len(job.models))
    ]
    return JobView(
        id=job.id,
        object="evaluation",
        status=standing.state,
        owner=job.owner,
        created=int(created),
        progress=Progress(sum(standing.done), job.total),
        models=models,
        num_failed=0 if end is None else end.num_failed,
        error=None if end is None else end.reason,
        request=job.order if with_request else None,
    )


def model_view(job: JobRequest, number: int, done: int, total: int) -> ModelView:
    """A model of a job."""
    pin = job.models[number]
    return ModelView(
        pin.asked, pin.name, pin.pinned, pin.digest, pin.artifact, pin.step, Progress(done, total)
    )


def page_of(
    listed: Sequence[Listed], *, after: str | None, limit: int
) -> tuple[Sequence[Listed], str | None]:
    """Those after an id, and the id of the last where more follow; an id that is gone begins anew."""
    ids = [one.id for one in listed]
    start = ids.index(after) + 1 if after in ids else 0
    shown = listed[start : start + limit]
    return shown, shown[-1].id if start + limit < len(listed) else None


def row_view(entry: Entry) -> dict[str, Any]:
    """A row, or a failure: that one has an `error`."""
    plain = asdict(entry)
    return plain if isinstance(entry, FailedRow) else {**plain, "error": None}

"""The stage's work: what is missing, made in as many processes as there are cores."""

import time
from dataclasses import dataclass
from itertools import groupby

from components.filter.plan import INPUT, Job, evaluation_prefixes, plan
from parable.artifact import Artifact, Product, ProductWriter, build, exists, read_manifest
from parable.catalog import Catalog
from parable.process import map_in_processes, num_usable_cpus
from parable.progress import Journal
from parable.recipe import Recipe, TextCorpus
from parable.store import ObjectStore, open_store

STAGE = "filter"
REPORT_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class _Order:
    """A job for a child process."""

    store: str
    job: Job
    total: int


def run_stage(recipe: Recipe, store: ObjectStore, inputs: Catalog) -> Catalog:
    """See `components.filter.run`."""
    jobs = plan(recipe, inputs)
    missing: dict[Artifact, Job] = {}
    for job in jobs:
        if job.artifact not in missing and not exists(store, job.artifact):
            missing[job.artifact] = job
    orders = [_Order(store.uri, job, _size(store, job)) for job in missing.values()]
    tasks = [{"task": order.job.task, "total": order.total} for order in orders]
    Journal.from_environment().event("plan", stage=STAGE, tasks=tasks)
    ranked = sorted(orders, key=lambda order: order.job.level)
    for _, level in groupby(ranked, key=lambda order: order.job.level):
        for _ in map_in_processes(_fill, list(level), num_processes=num_usable_cpus()):
            pass
    return inputs.having({f"corpus/{job.task}": job.artifact for job in jobs})


class Progress:
    """Tells the journal how much of a task is done, a few times a second."""

    def __init__(self, journal: Journal, task: str, total: int) -> None:
        """Count towards `total`, in the units of the plan."""
        self._journal = journal
        self._task = task
        self._total = total
        self._told = 0.0

    def __call__(self, share: float) -> None:
        """Say that a share, 0 to 1, is done; 1 ends the task."""
        now = time.monotonic()
        if share >= 1.0 or now - self._told >= REPORT_SECONDS:
            self._told = now
            done = self._total if share >= 1.0 else self._total * share
            self._journal.progress(STAGE, self._task, done, self._total)


def _fill(order: _Order) -> None:
    store, job = open_store(order.store), order.job
    report = Progress(Journal.from_environment(), job.task, order.total)
    build(store, job.blueprint, lambda writer: _make(writer, job, report))
    report(1.0)


def _make(writer: ProductWriter, job: Job, report: Progress) -> None:
    if isinstance(job.spec, TextCorpus):
        from components.filter.ingest import ingest
        from components.filter.sources import open_source

        ingest(writer, job.spec, open_source(job.spec), report)
        return
    from components.filter.derive import Derivation
    from components.filter.judge import Judge
    from parable.corpus import CorpusReader

    prefixes = evaluation_prefixes(job.items_per_cell) if job.spec.decontaminate else ()
    corpus = CorpusReader(Product(writer.store, job.blueprint.parents[INPUT]))
    Derivation(writer, corpus, spec=job.spec, judge=Judge(job.spec, prefixes), report=report).write()


def _size(store: ObjectStore, job: Job) -> int:
    """A job's size for the journal: the characters it reads, or the bytes of a source not landed yet."""
    manifest = (
        None if isinstance(job.spec, TextCorpus) else read_manifest(store, job.blueprint.parents[INPUT])
    )
    return int(manifest.summary["characters"]) if manifest else max(1, job.num_bytes)

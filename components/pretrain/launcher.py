"""One Ray Train fit for everything that is to be trained.

A fit is slow to start, so there is one, whose workers form no process group and pull segments from a queue.
Checkpoints go through our own store, never through `ray.train.report`.
"""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from components.pretrain.environment import private_folder, variables
from components.pretrain.numerics import Numerics
from components.pretrain.segments import Segment
from components.pretrain.worker import Assignment, QueueActor, work
from parable.errors import UserError
from parable.process import num_usable_cpus
from parable.progress import FOLDER_VARIABLE
from parable.recipe import Compute

MAX_FAILURES = 2
"""Crashes of workers (not errors that a person must mend) after which the run gives up."""
OBJECT_STORE_BYTES = 80 * 2**20
CHATTER = "ray.log"
START_ATTEMPTS = 4


def train(segments: Sequence[Segment], *, store: str, compute: Compute, numerics: Numerics) -> None:
    """Train segments, parents first, on as many workers as the recipe asks for.

    With RAY_ADDRESS set the workers are those of that cluster; otherwise a Ray of this process's own is
    started, which ends with it however it ends.

    Args:
        segments: what is missing, parents first.
        store: the address of the store; every worker opens it.
        compute: how many workers, and their threads.
        numerics: what every worker must be set up to.

    Raises:
        UserError: a segment can't be trained, or the workers asked for are not there.
    """
    most = num_leaves(segments)
    is_remote = bool(os.environ.get("RAY_ADDRESS"))
    num_cpus = None if is_remote else own_cpus(compute, most)
    with (
        private_folder() as folder,
        variables(settings(compute.threads, folder, is_remote=is_remote)),
        _chatter_kept(),
        _ray(folder, num_cpus, numerics),
    ):
        num_workers = workers_to_use(compute, numerics, most)
        _fit(segments, store=store, numerics=numerics, num_workers=num_workers, folder=folder)


def num_leaves(segments: Sequence[Segment]) -> int:
    """Segments that none of the others goes on from: more workers than these can never be busy."""
    parents = {segment.parent for segment in segments}
    return sum(segment.artifact not in parents for segment in segments)


def own_cpus(compute: Compute, most: int) -> int:
    """CPUs of a Ray of our own that is to hold at most so many workers."""
    auto = max(1, num_usable_cpus() // compute.threads)
    return min(most, auto if compute.workers == "auto" else compute.workers) * compute.threads


def workers_to_use(compute: Compute, numerics: Numerics, most: int) -> int:
    """How many workers to start on the connected cluster, at most so many.

    Raises:
        UserError: it has room for fewer than the recipe asks for, or for none.
    """
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    on_gpu = numerics.device == "cuda"
    available = int(resources.get("GPU", 0) if on_gpu else resources.get("CPU", 0) // compute.threads)
    wanted = min(most, max(available, 1) if compute.workers == "auto" else compute.workers)
    if available < wanted:
        what = "a GPU each" if on_gpu else f"{compute.threads} CPU each"
        raise UserError(
            f"compute.workers asks for {wanted} with {what}, and Ray has room for {available}. Set "
            f"compute.workers to {max(available, 1)} or auto, or give the cluster more nodes."
        )
    return wanted


def settings(threads: int, folder: str, *, is_remote: bool) -> dict[str, str]:
    """Environment variables for Ray, most of which it reads when it is imported or started."""
    shared = {
        "RAY_TRAIN_V2_ENABLED": "1",
        "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
        "RAY_TRAIN_METRICS_ENABLED": "0",
        # Workers import torch first, and a busy machine takes its time.
        "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",
        # How long the controller may sleep after the last worker has returned.
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
        # `uv run` above us would make every worker build an environment of its own.
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    if is_remote:
        return shared
    return shared | {
        # Otherwise a token is written to the home folder.
        "RAY_AUTH_MODE": "disabled",
        "RAY_worker_niceness": "0",
        "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
        "OMP_NUM_THREADS": str(threads),
        "TMPDIR": folder,
    }


@contextlib.contextmanager
def _chatter_kept() -> Iterator[None]:
    """Keep what Ray says to people off the screen: it goes beside the journal, where there is one."""
    journal = os.environ.get(FOLDER_VARIABLE)
    path = Path(journal) / CHATTER if journal else Path(os.devnull)
    with path.open("a") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        yield


@contextlib.contextmanager
def _ray(folder: str, num_cpus: int | None, numerics: Numerics) -> Iterator[None]:
    """A connection to Ray, and where `num_cpus` is given the Ray itself, for the length of a block."""
    import ray

    try:
        if num_cpus is None:
            ray.init(log_to_driver=False, logging_level=logging.ERROR)
        else:
            _start(folder, num_cpus, numerics)
        yield
    finally:
        ray.shutdown()


def _start(folder: str, num_cpus: int, numerics: Numerics) -> None:
    """Start a Ray of our own, anew where a busy machine kept it from coming up within Ray's fixed 30 s."""
    import ray

    for attempt in range(1, START_ATTEMPTS + 1):
        try:
            ray.init(
                address="local",
                num_cpus=num_cpus,
                num_gpus=0 if numerics.device == "cpu" else None,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=folder,
            )
            return
        except Exception as error:  # Ray raises no narrower class for it.
            ray.shutdown()
            if attempt == START_ATTEMPTS or "timed out during startup" not in str(error):
                raise


def _fit(
    segments: Sequence[Segment], *, store: str, numerics: Numerics, num_workers: int, folder: str
) -> None:
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig

    queue: Any = ray.remote(num_cpus=0)(QueueActor).remote(list(segments))
    on_gpu = numerics.device == "cuda"
    trainer = _trainer_class()(
        work,
        train_loop_config={"assignment": Assignment(queue, store, numerics)},
        scaling_config=ScalingConfig(
            num_workers=num_workers,
            use_gpu=on_gpu,
            resources_per_worker={"GPU": 1} if on_gpu else {"CPU": numerics.threads},
        ),
        run_config=RunConfig(
            name="parable", storage_path=folder, failure_config=FailureConfig(max_failures=MAX_FAILURES)
        ),
    )
    trainer.fit()
    failure = ray.get(queue.failure.remote())
    if failure is not None:
        raise UserError(failure)


def _trainer_class() -> Any:
    from ray.train.v2._internal.callbacks import DatasetsCallback
    from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    class SegmentTrainer(DataParallelTrainer):
        """Without what needs a process of its own and has nothing to do here."""

        def _create_default_callbacks(self) -> list[Any]:
            unneeded = (DatasetsCallback, PlacementGroupCleanerCallback)
            return [one for one in super()._create_default_callbacks() if not isinstance(one, unneeded)]

        def _register_sigint_handler(self, _controller: Any) -> None:
            # Ray's handler would end the process with exit status 0; KeyboardInterrupt is what is meant.
            return

    return SegmentTrainer

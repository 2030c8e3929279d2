"""A store that takes connections and answers nothing: the server says so, and can be ended all the same."""

from __future__ import annotations

import signal
from pathlib import Path

from parable.store.minio import MinioStore
from services.model_server.jobs.options import JobOptions
from tests.services.model_server.chaos import jobs
from tests.services.model_server.chaos.world import serving
from tests.services.model_server.support import two_models
from tests.support.minio_server import MinioServer
from tests.support.waiting import PATIENCE_SECONDS, until

QUICK = JobOptions(poll_seconds=0.2, part_requests=8, store_seconds=0.5)
JOB = {**jobs.JOB, "tasks": [{"name": "world", "items_per_cell": 30, "perplexity_documents": 40}]}


def test_a_store_that_hangs_does_not_hold_up_the_end(mortal_minio: MinioServer, tmp_path: Path) -> None:
    """A thread that waits for it would wait for minutes yet."""
    store = MinioStore.from_environment(mortal_minio.new_bucket(), "lab", mortal_minio.environment)
    two_models(store)
    environment = mortal_minio.environment
    with (
        serving(store.uri, tmp_path, environment=environment, jobs=QUICK, drain_seconds=1.0) as server,
        server.client() as client,
    ):
        name = jobs.submit(client, "disturbed", JOB)
        until(lambda: jobs.view(client, name)["progress"]["done"] > 0)
        mortal_minio.freeze()
        assert client.get(f"/v1/evaluations/{name}").status_code == 503
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_SECONDS) == 0
    mortal_minio.kill()  # It would not hear anything milder.

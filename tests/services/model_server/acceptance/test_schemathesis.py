"""Requests made from `/openapi.json` by schemathesis, against the real engine and a store."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.services.model_server.acceptance.conftest import PROGRAMS, Served

UNKNOWABLE = (
    "/v1/completions",
    "/v1/chat/completions",
    "/detokenize",
    "/v2/models/{name}/infer",
    "/v2/models/{name}/versions/{step}/infer",
    "/v1/evaluations",
    "/v1/evaluations/compare",
    "/v1/evaluations/{evaluation}/rows",
    "/v1/evaluations/{evaluation}/items.parquet",
)
"""What only a model knows (its length, its tokens) no description can say: there a 400 is an answer."""


def run(served: Served, folder: Path, *, examples: int, seed: int, phases: str) -> None:
    (folder / "schemathesis.toml").write_text(
        'parameters = { "path.name" = "'
        + served.model
        + '" }\n'
        + "".join(
            f'[[operations]]\ninclude-path = "{path}"\n'
            'checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "429"]\n'
            for path in UNKNOWABLE
        )
    )
    hooks = {
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
        "PYTHONPATH": str(Path(__file__).parent),
        "PARABLE_ACCEPTANCE_MODEL": served.model,
    }
    done = subprocess.run(
        [
            str(PROGRAMS / "schemathesis"),
            "run",
            f"{served.url}/openapi.json",
            "--no-color",
            f"--max-examples={examples}",
            f"--phases={phases}",
            f"--seed={seed}",
            "--continue-on-failure",
            "--request-timeout=60",
        ],
        env={**served.environment, **hooks},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_no_request_that_the_description_allows_fails(served: Served, tmp_path: Path) -> None:
    run(served, tmp_path, examples=20, seed=1, phases="examples,coverage,fuzzing")


@pytest.mark.slow
def test_nor_do_requests_that_follow_one_another(served: Served, tmp_path: Path) -> None:
    run(served, tmp_path, examples=100, seed=2, phases="fuzzing,stateful")

"""The lines of curl in the README, as they are pasted."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import services.model_server
from parable.store import open_store
from services.model_server.jobs.options import JobOptions
from tests.services.model_server.jobs.example import application, two_arms
from tests.services.model_server.live import Live, run_app

README = Path(services.model_server.__path__[0]) / "README.md"


def _pasted(live: Live) -> list[str]:
    """What each of them prints."""
    (block,) = re.findall(r"```sh\n(.+?)```", README.read_text(), re.DOTALL)
    lines = re.split(r"(?<!\\)\n(?=\S)", block.strip())
    script = "\necho ---\n".join(lines).replace("localhost:8000", live.url.removeprefix("http://"))
    told = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "no_proxy": "*"},
    )
    return told.stdout.split("---\n")


@pytest.mark.slow
def test_they_work_as_pasted(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    two_arms(store, tmp_path, seeds=(0,))
    with run_app(application(store, tmp_path / "cache", JobOptions())) as live:
        models, completion, stream, asked, followed = _pasted(live)
    assert [one["id"] for one in json.loads(models)["data"]] == [
        "toy.plain.seed-0@100",
        "toy.good.seed-0@100",
    ]
    (choice,) = json.loads(completion)["choices"]
    assert len(choice["logprobs"]["tokens"]) <= 8
    assert stream.endswith("data: [DONE]\n\n")
    assert asked == ""
    *events, report = followed.split("data: [DONE]\n\n")
    assert '"status":"completed"' in events[0]
    assert json.loads(report)["results"][0]["report"]["cells"]


def test_there_are_five() -> None:
    assert README.read_text().count("curl -s") == 5

"""`parable serve` says what is wrong, and otherwise three lines that work as they are pasted."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from parable.artifact import Artifact
from parable.errors import UserError
from parable.store import LocalStore
from services.model_server.command import Lines, announcement, lines_for, serve
from services.model_server.models.index import Index
from services.model_server.settings import ServerSettings
from tests.services.model_server.support import MAX_LENGTH, point, two_models

ROOT = Path(__file__).resolve().parents[3]
SERVE = """
import sys
from services.model_server.command import serve
serve(sys.argv[1], port=int(sys.argv[2]), say=lambda text: print(text, flush=True))
"""


def refused(store: Path | str, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        serve(str(store), say=pytest.fail, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert refused(tmp_path / "no") == (
        f"There is no store '{tmp_path}/no' yet. `parable run recipes/quickstart.yaml` makes one with models "
        "in it; --store names another."
    )
    assert not (tmp_path / "no").exists()


def test_a_store_without_models_is_said(tmp_path: Path) -> None:
    assert refused(tmp_path) == (
        f"The store {tmp_path.as_uri()} holds no sealed checkpoint. `parable run recipes/quickstart.yaml` "
        "trains models and seals them there; --store names another store."
    )


def test_a_run_that_has_sealed_nothing_yet_is_said(tmp_path: Path) -> None:
    point(LocalStore(tmp_path), "plain", [Artifact("segments", "0123")])
    assert refused(tmp_path).startswith(
        f"The run of toy in {tmp_path.as_uri()} has sealed no checkpoint yet."
    )


def test_a_model_that_is_not_there_is_answered_with_those_there_are(tmp_path: Path) -> None:
    two_models(LocalStore(tmp_path))
    message = refused(tmp_path, model="missing")
    assert message.startswith(
        "There is no model 'missing'. There are toy.plain.seed-0, toy.other.seed-0, latest"
    )


def test_a_network_needs_keys(tmp_path: Path) -> None:
    assert "without keys" in refused(tmp_path, host="0.0.0.0")


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_is_a_port(tmp_path: Path, port: int) -> None:
    assert refused(tmp_path, port=port).startswith(f"--port is {port}; 0 to 65535 are possible")


def test_lines_with_keys_hold_no_key() -> None:
    settings = ServerSettings(host="0.0.0.0", port=8123, keys_file=Path("keys.yaml"))
    lines = lines_for(settings, "a.b.seed-0", max_length=None, tasks=Path("/a folder"))
    assert lines.url == "http://127.0.0.1:8123"
    assert lines.curl.endswith(' -H "Authorization: Bearer $PARABLE_API_KEY"')
    assert lines.lm_eval == (
        'OPENAI_API_KEY="$PARABLE_API_KEY" lm_eval --model local-completions --model_args '
        "model=a.b.seed-0,base_url=http://127.0.0.1:8123/v1/completions,tokenizer_backend=remote,"
        "auth_token=\"$PARABLE_API_KEY\" --include_path '/a folder' --tasks parable_ai_choice"
    )


def test_arms_are_listed_by_their_short_names_and_many_are_counted() -> None:
    lines = Lines(url="http://here", curl="c", lm_eval="l")
    aliases = {f"toy.arm{n}.seed-{seed}": f"toy.arm{n}.seed-{seed}@7" for seed in (0, 1) for n in range(20)}
    shorts = {f"arm{n}": f"toy.arm{n}.seed-0" for n in range(20)}
    index = Index(aliases={**aliases, "latest": "toy.arm3.seed-1@7"}, shorts=shorts)
    told = announcement(lines, index, metrics_port=9000).splitlines()
    assert told[:4] == [
        "Page:   http://here/",
        f"Models: {', '.join(f'arm{n}' for n in range(12))} and 9 more.",
        "        In full: toy.arm0.seed-0 and 39 more. http://here/v1/models lists them.",
        "Metrics: port 9000. Ctrl-C ends it.",
    ]


def test_help_is_quick() -> None:
    program = str(Path(sys.executable).parent / "parable")
    command = [sys.executable, "-X", "importtime", program, "serve", "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert all(option in done.stdout for option in ("--store", "--model", "--port"))
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {"torch", "transformers", "ray", "pyarrow", "fastapi", "uvicorn", "numpy"}


@contextmanager
def started(store: Path) -> Iterator[subprocess.Popen[str]]:
    """The command as a process; it is gone when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(store), "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def served(store: Path) -> Iterator[tuple[str, str]]:
    """The curl line and the lm-eval line of a server that runs until the block ends."""
    with started(store) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("lm_eval "):
            line = process.stdout.readline()
            assert line, f"the server ended: {lines}"
            lines.append(line)
        assert lines[0].startswith("Loading toy.plain.seed-0@100 from ")
        assert re.fullmatch(r"Ready in \d+\.\d s\.\n", lines[1])
        yield next(line for line in lines if line.startswith("curl ")), lines[-1]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_it_cleanly_while_it_loads(tmp_path: Path, times: int) -> None:
    two_models(LocalStore(tmp_path))
    with started(tmp_path) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith("Loading ")
        assert '"Waiting for application startup."' in [*islice(process.stderr, 2)][-1]
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in log


def test_a_log_that_no_person_reads_is_json_from_its_first_line(tmp_path: Path) -> None:
    two_models(LocalStore(tmp_path / "store"))
    settings = tmp_path / "settings.json"
    told = {
        "store": str(tmp_path / "store"),
        "cache": str(tmp_path / "cache"),
        "port": 0,
        "metrics_port": None,
    }
    settings.write_text(json.dumps(told))
    program = [str(Path(sys.executable).parent / "parable"), "serve", "--settings", str(settings)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            lines = [*islice(process.stdout, 2)]
            process.send_signal(signal.SIGTERM)
            lines += process.stdout
        finally:
            process.kill()
    first, *_ = [json.loads(line) for line in lines]
    assert first["message"].startswith(f"serving {tmp_path / 'store'} on 127.0.0.1:")
    assert process.returncode == 0


def shell(line: str, **environment: str) -> str:
    """What a line says when it is pasted."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        line, shell=True, check=True, capture_output=True, text=True, timeout=200,
        env={**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", **environment},
    )  # fmt: skip
    return done.stdout


def test_the_curl_line_works_as_pasted(tmp_path: Path) -> None:
    plain, _ = two_models(LocalStore(tmp_path))
    with served(tmp_path) as (curl, lm_eval):
        answer = json.loads(shell(f"curl --noproxy '*' {curl.removeprefix('curl ')}"))
        assert answer["choices"][0]["text"] == "A" * 16
        assert json.loads(shlex.split(curl)[-1])["model"] == plain
        assert f"max_length={MAX_LENGTH} " in lm_eval


@pytest.mark.slow
def test_the_lm_eval_line_works_as_pasted(tmp_path: Path) -> None:
    store = tmp_path / "store"
    two_models(LocalStore(store))
    with served(store) as (_, lm_eval):
        table = shell(lm_eval, HF_HOME=str(tmp_path), NO_PROXY="*", no_proxy="*")
    assert "|parable_ai_choice|" in table.replace(" ", "")

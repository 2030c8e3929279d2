"""`parable serve` says what is wrong, and otherwise three lines that work as they are pasted."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from parable.errors import UserError
from parable.store import LocalStore
from services.model_server.command import Lines, announcement, lines_for, serve
from services.model_server.settings import ServerSettings
from tests.services.model_server.support import MAX_LENGTH, two_models
from tests.support.process import free_port

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
    assert refused(tmp_path).startswith(f"The store {tmp_path.as_uri()} holds no sealed checkpoint.")


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


def test_many_models_are_counted() -> None:
    text = announcement(Lines(url="u", curl="c", lm_eval="l"), models=["m"] * 30, metrics_port=None)
    assert "m and 18 more" in text


@contextmanager
def served(store: Path) -> Iterator[tuple[str, str]]:
    """The curl line and the lm-eval line of a server that runs until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(store), str(free_port())],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        lines: list[str] = []
        while "lm_eval " not in "".join(lines):
            line = process.stdout.readline()
            assert line, f"the server ended: {lines}"
            lines.append(line)
        yield next(line for line in lines if line.startswith("curl ")), lines[-1]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


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
        answer = json.loads(shell(f"curl -s --noproxy '*' {curl.removeprefix('curl ')}"))
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

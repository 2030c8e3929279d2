"""What `helm test` runs: it passes on a server that answers, and says what is wrong with another."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.charts.chart import CHART, EVERYTHING, MINIMAL, only, render
from tests.support.helm import Helm

SCRIPT = (CHART / "files" / "check_server.py").read_text(encoding="utf-8")
KEY = "a-key-of-scope-infer"


class _Server(ThreadingHTTPServer):
    """Ready at the second look; lists `models` to whoever has the key."""

    models: tuple[str, ...] = ("quickstart.aligned.seed-0",)
    looks = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        if self.path == "/health/ready":
            self.server.looks += 1
            self._answer(200 if self.server.looks > 1 else 503, {})
        elif self.headers["Authorization"] == f"Bearer {KEY}":
            self._answer(200, {"data": [{"id": name} for name in self.server.models]})
        else:
            self._answer(401, {})

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.02,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def _check(server: _Server, file: Path, holds: str) -> subprocess.CompletedProcess[str]:
    quick = SCRIPT.replace("PAUSE_SECONDS = 2", "PAUSE_SECONDS = 0.05").replace(
        "PATIENCE_SECONDS = 120", "PATIENCE_SECONDS = 0.2"
    )
    assert quick != SCRIPT
    url = f"http://127.0.0.1:{server.server_port}"
    return subprocess.run(
        [sys.executable, "-c", quick, url, str(file), holds], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("content", "holds"),
    [
        (f"{KEY}\n", "key"),
        (
            f"- {{name: a, scopes: [admin], key: {'x' * 16}}}\n- {{name: b, scopes: [infer], key: {KEY}}}\n",
            "keys-file",
        ),
        (json.dumps([{"name": "a", "scopes": ["infer"], "key": KEY}]), "keys-file"),
    ],
)
def test_it_waits_and_passes(server: _Server, tmp_path: Path, content: str, holds: str) -> None:
    (tmp_path / "key").write_text(content)
    result = _check(server, tmp_path / "key", holds)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "ready, with 1 models: quickstart.aligned.seed-0\n"


def test_a_wrong_key_is_told(server: _Server, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("wrong")
    result = _check(server, tmp_path / "key", "key")
    assert result.returncode == 1
    assert (
        result.stderr == "The server is ready, and answers /v1/models with 401: is this key among its keys?\n"
    )


def test_digests_alone_are_told(server: _Server, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"- {{name: a, scopes: [infer], sha256: {'0' * 64}}}\n")
    result = _check(server, tmp_path / "key", "keys-file")
    assert result.returncode == 1
    assert "name a Secret with one, modelServer.test.existingSecret" in result.stderr


def test_a_server_without_models_is_told(server: _Server, tmp_path: Path) -> None:
    server.models = ()
    (tmp_path / "key").write_text(KEY)
    result = _check(server, tmp_path / "key", "key")
    assert result.returncode == 1
    assert result.stderr == "The server is ready and lists no model.\n"


def test_a_server_that_is_never_ready_is_told(server: _Server, tmp_path: Path) -> None:
    server.looks = -1000
    (tmp_path / "key").write_text(KEY)
    result = _check(server, tmp_path / "key", "key")
    assert result.returncode == 1
    assert "not ready within" in result.stderr
    assert "503" in result.stderr


def test_the_pod_runs_this_script_with_a_key_that_it_mounts(helm: Helm) -> None:
    for values, holds, secret in (
        (MINIMAL, "keys-file", "parable-keys"),
        (EVERYTHING, "key", "parable-test-key"),
    ):
        objects = render(helm, values)
        spec = only(objects, "Pod", "-test")["spec"]
        (container,) = spec["containers"]
        script, url, file, kind = container["args"]
        assert script == SCRIPT
        service = only(objects, "Service", "-server")
        assert url == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
        assert Path(file).parent == Path(container["volumeMounts"][0]["mountPath"])
        assert kind == holds
        assert spec["volumes"][0]["secret"]["secretName"] == secret


def test_the_pod_is_a_hook_of_the_test_command(helm: Helm) -> None:
    assert only(render(helm, MINIMAL), "Pod")["metadata"]["annotations"]["helm.sh/hook"] == "test"

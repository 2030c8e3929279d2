"""A real MinIO server for the tests, or a stand-in that says what it cannot do.

Fixtures:
    minio: one server for the whole session.
    signing_minio: the same, where request signatures must really be checked.
    bucket: a new, empty bucket on it, for one test.
    mortal_minio: a server of the test's own, to kill and to bring back on the same port.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from minio import Minio
from urllib3 import PoolManager, Retry

from tests.support.process import IN_CI, answers, end, free_port, spawn

_START_TIMEOUT_SECONDS = 30.0
_ATTEMPTS = 3  # a free port can be taken between asking for it and using it

MISSING = (
    "no MinIO server binary ($PARABLE_MINIO, PATH, or the cache): `make minio` builds one; "
    "the stand-in checks no signatures and forgets everything when it stops"
)


def find_minio() -> Path | None:
    """The MinIO binary to use, or None.

    Raises:
        FileNotFoundError: `$PARABLE_MINIO` names something that cannot be run.
    """
    given = os.environ.get("PARABLE_MINIO")
    if given:
        if shutil.which(given) is None:
            raise FileNotFoundError(f"PARABLE_MINIO={given} is not a program that can be run")
        return Path(given)
    on_path = shutil.which("minio")
    if on_path:
        return Path(on_path)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    built = Path(cache, "parable", "bin", "minio")
    return built if os.access(built, os.X_OK) else None


@dataclass
class MinioServer:
    """An S3 server on a loopback port, with credentials of its own.

    Attributes:
        binary: The MinIO program, or None for the stand-in.
        home: Folder for its data and its log.
    """

    binary: Path | None
    home: Path
    access_key: str = field(default_factory=lambda: secrets.token_hex(8))
    secret_key: str = field(default_factory=lambda: secrets.token_hex(16))
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def is_real(self) -> bool:
        """Whether this is MinIO: signatures checked, and data kept over a restart."""
        return self.binary is not None

    @property
    def endpoint(self) -> str:
        """Host and port, as the `minio` client wants them."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The endpoint with its scheme."""
        return f"http://{self.endpoint}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables through which a process finds this server, whatever it had before."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_SESSION_TOKEN": "",
            "AWS_ENDPOINT_URL": self.url,
            "PARABLE_S3_ENDPOINT": self.url,
            "AWS_REGION": "us-east-1",
        }

    def client(self) -> Minio:
        """A client with the right credentials."""
        return Minio(
            self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=False,
            region="us-east-1",
            # MinIO calls itself ready while it still answers "not initialised, retry after 60 s".
            http_client=PoolManager(
                retries=Retry(
                    10, backoff_factor=0.05, status_forcelist=[503], respect_retry_after_header=False
                )
            ),
        )

    def start(self) -> None:
        """Start, on the port it had before if it had one, and wait until it is ready."""
        assert self._process is None, "already running"
        for _ in range(1 if self.port else _ATTEMPTS):
            port = self.port or free_port()
            process = spawn(self._command(port), env=self._server_environment(), log=self._log)
            health = "/minio/health/ready" if self.is_real else "/moto-api/"
            if answers(
                process,
                f"http://127.0.0.1:{port}{health}",
                timeout_seconds=_START_TIMEOUT_SECONDS,
            ):
                self.port, self._process = port, process
                return
            end(process)
        tail = self._log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{self._command(self.port)[0]} did not become ready:\n{tail}")

    def stop(self) -> None:
        """End it politely; nothing happens when it is not running."""
        if self._process is not None:
            end(self._process)
            self._process = None

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None, "not running"
        self._process.kill()
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Let it take connections and answer nothing more."""
        assert self._process is not None, "not running"
        self._process.send_signal(signal.SIGSTOP)

    def new_bucket(self) -> str:
        """Make a bucket that nobody else knows, and return its name."""
        name = f"test-{secrets.token_hex(6)}"
        self.client().make_bucket(name)
        return name

    @property
    def _log(self) -> Path:
        return self.home / "server.log"

    def _command(self, port: int) -> list[str]:
        if self.binary is None:
            return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        address = f"127.0.0.1:{port}"
        return [
            str(self.binary),
            "server",
            "--quiet",
            "--address",
            address,
            str(self.home / "data"),
        ]

    def _server_environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MINIO_")}
        return inherited | {
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_CALLHOME_ENABLE": "off",
        }


def pytest_report_header() -> str:
    """Say which server the tests meet, and loudly when it is not a real one."""
    return f"minio: {find_minio() or 'WARNING, NOT REAL: ' + MISSING}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it again where it is read: beside the result."""
    if find_minio() is None:
        terminalreporter.write_line(f"WARNING: {MISSING}", red=True)


@pytest.fixture(scope="session")
def minio() -> Iterator[MinioServer]:
    """One S3 server for the session: MinIO, or (never in CI) its stand-in."""
    binary = find_minio()
    if binary is None and IN_CI:
        pytest.fail(MISSING)
    yield from _running(binary)


@pytest.fixture
def signing_minio(minio: MinioServer) -> MinioServer:
    """The session's server where it really checks signatures."""
    if not minio.is_real:
        pytest.skip(MISSING)
    return minio


@pytest.fixture
def bucket(minio: MinioServer) -> str:
    """The name of a new bucket on the session's server."""
    return minio.new_bucket()


@pytest.fixture
def mortal_minio() -> Iterator[MinioServer]:
    """A MinIO server for one test, which may `kill()` it and `start()` it again, data kept."""
    binary = find_minio()
    if binary is None:
        (pytest.fail if IN_CI else pytest.skip)(MISSING)
    yield from _running(binary)


def _running(binary: Path | None) -> Iterator[MinioServer]:
    with tempfile.TemporaryDirectory(prefix="parable-minio-") as home:
        server = MinioServer(binary=binary, home=Path(home))
        server.start()
        try:
            yield server
        finally:
            server.stop()

"""What a connection may do before, beside and after the requests on it."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPResponse

import httpx
import pytest

from services.model_server import ServerSettings, protocol
from services.model_server.engine.base import RequestClass
from services.model_server.protocol import MOST_FRAME_BYTES, most_connections
from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import Live, run_live
from tests.support.waiting import PATIENCE_SECONDS, until

MOST = 3
SPARE = 64
BODY_SECONDS = 0.5
LONG_SECONDS = 600.0


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    settings = ServerSettings(body_seconds=BODY_SECONDS, max_connections=MOST)
    with run_live(BigramEngine({"a": table(0)}), FixedModels(), settings) as found:
        yield found


@pytest.fixture(autouse=True)
def unharmed(live: Live) -> Iterator[None]:
    """Each test finds all connections free, and leaves them so."""
    until(lambda: _num_connections(live) == 0)
    yield
    until(lambda: _num_connections(live) == 0)


def test_one_connection_too_many_is_told_so_and_health_is_answered_on_it(live: Live) -> None:
    with ExitStack() as stack:
        for _ in range(MOST):
            assert _ask(stack.enter_context(_connected(live)), "/v1/models").status == 200
        with _connected(live) as another:
            refused = _ask(another, "/v1/models")
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert json.loads(refused.read())["error"]["code"] == "too_many_connections"
            assert another.recv(1) == b""
        with _connected(live) as probe:
            assert _ask(probe, "/health/live").status == 200
    until(lambda: _num_connections(live) == 0)
    with _connected(live) as another:
        assert _ask(another, "/v1/models").status == 200


def test_one_too_many_that_says_nothing_is_not_waited_for(live: Live) -> None:
    with ExitStack() as stack:
        for _ in range(MOST):
            assert _ask(stack.enter_context(_connected(live)), "/v1/models").status == 200
        with _connected(live) as silent:
            assert silent.recv(1) == b""


def test_where_there_is_no_room_to_hear_it_one_too_many_is_cut_off_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "_SPARE_SECONDS", LONG_SECONDS)
    settings = ServerSettings(body_seconds=LONG_SECONDS, max_connections=MOST)
    with run_live(BigramEngine({"a": table(0)}), FixedModels(), settings) as live, ExitStack() as stack:
        until(lambda: _num_connections(live) == 0)
        for _ in range(MOST + SPARE):
            stack.enter_context(_connected(live))
        until(lambda: _num_connections(live) == MOST + SPARE)
        with _connected(live) as another, suppress(ConnectionError):
            assert another.recv(1) == b""
        assert _num_connections(live) == MOST + SPARE


def test_there_are_fewer_connections_than_files_that_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def most(files: int) -> int:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
        return most_connections(8192)

    assert [most(files) for files in (256, 1024, 2**20, resource.RLIM_INFINITY)] == [128, 768, 8192, 8192]


def test_who_does_not_read_an_answer_does_not_keep_its_place(live: Live) -> None:
    body = json.dumps(
        {
            "model": "latest",
            "prompt": ["A tale"] * 4,
            "n": 128,
            "max_tokens": 20,
            "logprobs": 20,
            "stream": True,
        }
    ).encode()
    head = (
        b"POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n" % len(body)
    )
    assert isinstance(live.server.engine, BigramEngine)
    asked = live.server.engine.requests
    before = len(asked)
    with _connected(live, buffer=4096) as connection:
        connection.sendall(head + body)
        until(lambda: len(asked) > before)
        until(lambda: live.server.num_active == 0)
        assert live.server.admission.num_running(RequestClass.INTERACTIVE) == 0
        assert isinstance(live.server.models, FixedModels) and live.server.models.num_leases == 0
        with suppress(ConnectionError):
            while answer := connection.recv(65536):
                assert b"[DONE]" not in answer


def test_who_reads_slowly_gets_all_of_an_answer(live: Live) -> None:
    many: dict[str, object] = {"prompt": ["A tale"] * 8, "n": 128, "max_tokens": 3, "logprobs": 20}
    ask = {"model": "latest", **many}
    with live.client() as client, client.stream("POST", "/v1/completions", json=ask) as answer:
        num_bytes = 0
        for part in answer.iter_raw(2**18):
            num_bytes += len(part)
            time.sleep(BODY_SECONDS / 4)
    assert num_bytes == int(answer.headers["content-length"]) > 2**20


def test_headers_after_a_body_are_cut_off_where_they_do_not_end(live: Live) -> None:
    head = b"POST /nothing HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"
    lines = (b"x-name: " + b"a" * 1000 + b"\r\n") * 64
    with _connected(live) as connection:
        connection.sendall(head + b"1\r\na\r\n0\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
        with pytest.raises(ConnectionError):
            for _ in range(200 * MOST_FRAME_BYTES // len(lines)):
                connection.sendall(lines)


@pytest.mark.parametrize("sent", [b"HELLO / HTTP/1.1\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n"])
def test_what_is_no_http_is_told_so_in_the_shape_of_every_error(live: Live, sent: bytes) -> None:
    with _connected(live) as connection:
        connection.sendall(sent)
        answer = HTTPResponse(connection)
        answer.begin()
        error = json.loads(answer.read())["error"]
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_http")


def test_a_body_in_small_chunks_is_a_body(live: Live) -> None:
    ask = json.dumps({"model": "latest", "prompt": "A tale"}).ljust(100_000).encode()
    parts = (ask[n : n + 10] for n in range(0, len(ask), 10))
    with live.client() as client:
        answer = client.post("/v1/completions", content=parts, headers={"content-type": "application/json"})
    assert answer.status_code == 200


def _connected(live: Live, *, buffer: int | None = None) -> socket.socket:
    url = httpx.URL(live.url)
    assert url.port is not None
    connection = socket.socket()
    if buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(PATIENCE_SECONDS)
    connection.connect((url.host, url.port))
    return connection


def _ask(connection: socket.socket, path: str) -> HTTPResponse:
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
    answer = HTTPResponse(connection)
    answer.begin()
    return answer


def _num_connections(live: Live) -> int:
    return len(live.web.server_state.connections)

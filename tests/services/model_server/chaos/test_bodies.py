"""Nothing that a client sends takes the server down, and the next request is served."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPResponse
from typing import Any

import httpx
import pytest

from services.model_server.protocol import MOST_HEAD_BYTES
from tests.services.model_server.chaos.conftest import BODY_SECONDS
from tests.services.model_server.chaos.world import PLAIN, Serving
from tests.support.waiting import PATIENCE_SECONDS

JSON = {"content-type": "application/json"}
ASK: dict[str, Any] = {"model": PLAIN, "prompt": "The AI chose", "max_tokens": 5, "temperature": 0}
CHAT = {"model": PLAIN, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5, "temperature": 0}
INFER = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}
JOB = {"model": PLAIN, "tasks": [{"name": "world", "items_per_cell": 1}]}
GOOD = {
    "/v1/completions": ASK,
    "/v1/chat/completions": CHAT,
    "/v2/models/toy.plain.seed-0/infer": INFER,
    "/tokenize": {"model": PLAIN, "prompt": "a"},
    "/detokenize": {"model": PLAIN, "tokens": [1]},
    "/v1/evaluations": JOB,
}
NOT_JSON = {
    "empty": b"",
    "cut off": b'{"model": "latest", "prompt": "a"',
    "two": b"{}{}",
    "trailing comma": b'{"model": "latest",}',
    "single quotes": b"{'model': 'latest'}",
    "no utf-8": b"\xff\xfe\x00",
    "half of a character": b'{"model": "latest", "prompt": "\xc3"}',
    "nul": b"\x00" * 1000,
    "null": b"null",
    "list": b"[]",
    "text": b'"text"',
    "number": b"1e400",
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"model":' * 50_000,
    "deep and whole": b'{"model": "latest", "prompt": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "long number": b'{"model": "latest", "prompt": ' + b"9" * 500_000 + b"}",
}
WRONG = [
    ("/v1/completions", {**ASK, "prompt": None}),
    ("/v1/completions", {**ASK, "prompt": {"a": 1}}),
    ("/v1/completions", {**ASK, "prompt": [None]}),
    ("/v1/completions", {**ASK, "prompt": [[]]}),
    ("/v1/completions", {**ASK, "prompt": [True]}),
    ("/v1/completions", {**ASK, "prompt": [-1]}),
    ("/v1/completions", {**ASK, "prompt": [2**31]}),
    ("/v1/completions", {**ASK, "prompt": [320]}),
    ("/v1/completions", {**ASK, "prompt": [1] * 127 + [2] * 100_000}),
    ("/v1/completions", {**ASK, "prompt": ["a"] * 5000}),
    ("/v1/completions", {**ASK, "prompt": "a" * 500_000}),
    ("/v1/completions", {**ASK, "prompt": "\ud800"}),
    ("/v1/completions", {**ASK, "stop": "\udfff"}),
    ("/v1/completions", {**ASK, "stop": ["a"] * 1000}),
    ("/v1/completions", {**ASK, "max_tokens": -1}),
    ("/v1/completions", {**ASK, "max_tokens": 10**9}),
    ("/v1/completions", {**ASK, "max_tokens": "5"}),
    ("/v1/completions", {**ASK, "temperature": "hot"}),
    ("/v1/completions", {**ASK, "temperature": -1}),
    ("/v1/completions", {**ASK, "temperature": float("nan")}),
    ("/v1/completions", {**ASK, "temperature": float("inf")}),
    ("/v1/completions", {**ASK, "top_p": 0}),
    ("/v1/completions", {**ASK, "n": 10**6}),
    ("/v1/completions", {**ASK, "n": 128, "prompt": ["a"] * 500}),
    ("/v1/completions", {**ASK, "logprobs": 10**6}),
    ("/v1/completions", {**ASK, "logit_bias": {"1": 5}}),
    ("/v1/completions", {**ASK, "banned_tokens": ["many words are no token"]}),
    ("/v1/completions", {**ASK, "safe_beam": {"width": 10**6}}),
    ("/v1/completions", {**ASK, "best_of_by": {"draws": 0}}),
    ("/v1/completions", {**ASK, "control": "no such token"}),
    ("/v1/completions", {**ASK, "unknown": 1}),
    ("/v1/completions", {**ASK, "model": None}),
    ("/v1/completions", {**ASK, "model": "\ud800"}),
    ("/v1/chat/completions", {**CHAT, "messages": []}),
    ("/v1/chat/completions", {**CHAT, "messages": [{"role": "user", "content": "\ud800"}]}),
    ("/v1/chat/completions", {**CHAT, "messages": [{"role": "user"}]}),
    ("/v1/chat/completions", {**CHAT, "messages": [{"role": "\ud800", "content": "a"}]}),
    ("/v1/chat/completions", {**CHAT, "messages": [{"role": "user", "content": "a" * 500_000}]}),
    ("/v1/chat/completions", {**CHAT, "messages": [None]}),
    ("/v2/models/toy.plain.seed-0/infer", {"inputs": [{**INFER["inputs"][0], "data": [None]}]}),
    ("/v2/models/toy.plain.seed-0/infer", {"inputs": [{**INFER["inputs"][0], "shape": [10**12]}]}),
    ("/v2/models/toy.plain.seed-0/infer", {"inputs": [{**INFER["inputs"][0], "data": ["\ud800"]}]}),
    ("/v2/models/toy.plain.seed-0/infer", {"inputs": []}),
    ("/tokenize", {"model": PLAIN, "prompt": "\ud800"}),
    ("/detokenize", {"model": PLAIN, "tokens": [10**9]}),
    ("/v1/evaluations", {**JOB, "tasks": []}),
    ("/v1/evaluations", {**JOB, "tasks": [{"name": "world", "items_per_cell": 10**9}]}),
    ("/v1/evaluations", {**JOB, "tasks": [{"name": "\ud800"}]}),
    ("/v1/evaluations", {**JOB, "settings": {"sampling": {"max_tokens": 10**9}}}),
]


@pytest.fixture(autouse=True)
def unharmed(server: Serving) -> Iterator[None]:
    """Whatever a test has sent: the same engine answers the next request, and it alone is left of nothing."""
    before = server.engine.pid
    yield
    with server.client() as client:
        answer = client.post("/v1/completions", json=ASK)
    assert (answer.status_code, answer.json()["choices"][0]["text"]) == (200, "AAAAA")
    assert server.not_ready() is None
    assert server.engine.pid == before
    server.wait_until_idle()


@pytest.mark.parametrize("path", GOOD)
def test_what_is_no_json_is_refused_on_every_route(server: Serving, path: str) -> None:
    with server.client() as client:
        found = {name: client.post(path, content=body, headers=JSON) for name, body in NOT_JSON.items()}
    assert {name: answer.status_code for name, answer in found.items()} == dict.fromkeys(NOT_JSON, 400)
    assert all(_message(path, answer) for answer in found.values())


def test_what_asks_for_nonsense_is_refused_and_said_to_be(server: Serving) -> None:
    with server.client() as client:
        answers = [client.post(path, content=_dump(body), headers=JSON) for path, body in WRONG]
    statuses = [answer.status_code for answer in answers]
    assert [pair for pair in zip(statuses, WRONG, strict=True) if pair[0] != 400] == []
    assert all(_message(path, answer) for (path, _), answer in zip(WRONG, answers, strict=True))


@pytest.mark.parametrize("path", GOOD)
def test_every_field_may_be_of_every_wrong_type(server: Serving, path: str) -> None:
    """None of these is a 5xx: null where a field has a default is fine, everything else is refused."""
    bad: list[Any] = [None, True, -1, 1.5, 10**30, "", "\ud800", [], {}, [[[]]], [None], {"a": {"b": []}}]
    with server.client() as client:
        for field in GOOD[path]:
            for value in bad:
                body = _dump({**GOOD[path], field: value})
                if path == "/v1/evaluations" and value is None:
                    continue  # Which would begin a job.
                answer = client.post(path, content=body, headers=JSON)
                assert answer.status_code in (200, 400, 404), (field, value, answer.text)


def test_a_body_beyond_the_limit_is_refused_whether_it_says_so_or_not(server: Serving) -> None:
    with server.client() as client:
        said = client.post("/v1/completions", content=b" " * (2**20 + 1), headers=JSON)
        unsaid = client.post("/v1/completions", content=iter([b" " * 2**18] * 5), headers=JSON)
        most = client.post("/v1/completions", content=_dump(ASK).ljust(2**20), headers=JSON)
    assert [answer.status_code for answer in (said, unsaid, most)] == [413, 413, 200]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -5\r\n\r\n", 400),
        (
            b"POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            400,
        ),
        (b"POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 99\r\n\r\n{", 408),
        (b"POST /v1/completions HTTP/1.1\r\nhost: \xff\r\ncontent-length: 2\r\n\r\n{}", 403),
        (b"POST /v1/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}", 403),
        (b"GET /%ff%00 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", 404),
        (b"GET /\xff HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", 400),
    ],
)
def test_what_is_hardly_http_is_answered_or_cut_off(server: Serving, sent: bytes, status: int) -> None:
    with _connected(server) as connection:
        connection.sendall(sent)
        assert connection.recv(65536).split(b" ", 2)[1] == str(status).encode()


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nx: a"])
def test_headers_without_end_are_cut_off(server: Serving, begin: bytes) -> None:
    with _connected(server) as connection:
        connection.sendall(begin)
        with suppress(ConnectionError):
            for _ in range(3000):
                connection.sendall(b"x-name: " + b"a" * 1000 + b"\r\n")
        _expect_end(connection)


def test_headers_that_are_too_large_are_told_so(server: Serving) -> None:
    with _connected(server) as connection:
        # No more than is read: of an answer that comes before all is, the end may be lost.
        connection.sendall(b"GET / HTTP/1.1\r\nx: ".ljust(MOST_HEAD_BYTES + 1, b"a"))
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(body)["error"]["code"] == "head_too_large"


@pytest.mark.parametrize("begin", [b"", b"P", b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n"])
def test_who_says_no_more_is_not_waited_for(server: Serving, begin: bytes) -> None:
    began = time.monotonic()
    with _connected(server) as connection:
        if begin:  # Another request on the connection changes nothing.
            assert _status(connection) == 200
        connection.sendall(begin)
        _expect_end(connection)
    assert time.monotonic() - began > BODY_SECONDS - 0.1


def test_a_connection_may_rest_between_requests(server: Serving) -> None:
    with _connected(server) as connection:
        assert _status(connection) == 200
        time.sleep(BODY_SECONDS + 0.5)
        assert _status(connection) == 200


def test_half_a_body_and_gone(server: Serving) -> None:
    head = b"POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 500\r\n\r\n"
    for _ in range(50):
        with _connected(server) as connection:
            connection.sendall(head + b'{"model": "latest", "prompt": "')


def _connected(server: Serving) -> socket.socket:
    url = httpx.URL(server.url)
    assert url.port is not None
    return socket.create_connection((url.host, url.port), timeout=PATIENCE_SECONDS)


def _status(connection: socket.socket) -> int:
    """Of an answer that is read to its end."""
    connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    answer = HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


def _expect_end(connection: socket.socket) -> None:
    """The server closes the connection, whatever it says before."""
    with suppress(ConnectionError):
        while connection.recv(65536):
            pass


def _dump(body: object) -> bytes:
    """With NaN, and with halves of surrogate pairs as escapes."""
    return json.dumps(body).encode()


def _message(path: str, answer: httpx.Response) -> str:
    error = answer.json()["error"]
    return str(error if path.startswith("/v2") else error["message"])

"""The page's files: open, cached by their content, and under a policy that lets nothing else run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import services.model_server
from services.model_server import ServerSettings
from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import run_live

FOLDER = Path(services.model_server.__path__[0]) / "page"
FILES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".js", ".css", ".svg"))
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
KEY = "a-key-that-is-long-enough"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Of a server that asks for keys; it sends none."""
    path = tmp_path_factory.mktemp("keys") / "keys.yaml"
    path.write_text(f"- {{name: one, scopes: [infer], key: {KEY}}}\n")
    settings = ServerSettings(keys_file=path)
    with (
        run_live(BigramEngine({"a": table(0)}), FixedModels(), settings) as live,
        live.client() as found,
    ):
        yield found


def test_the_shell_and_its_files_are_open(client: httpx.Client) -> None:
    shell = client.get("/")
    assert (shell.status_code, shell.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name in FILES:
        found = client.get(f"/page/{name}")
        assert found.status_code == 200
        assert found.headers["content-type"].startswith(TYPES[Path(name).suffix])
        assert found.content == (FOLDER / name).read_bytes()
    assert client.get("/v1/models").status_code == 401


def test_nothing_else_is_there(client: httpx.Client) -> None:
    for name in ("index.html", "__init__.py", "nothing.js"):
        assert client.get(f"/page/{name}").status_code == 404
    # A slash makes it a path that no route has, and of those a stranger learns nothing.
    assert client.get("/page/..%2f__init__.py").status_code == 401


def test_a_copy_that_is_still_good_is_not_sent_again(client: httpx.Client) -> None:
    for path in ("/", "/page/app.js"):
        first = client.get(path)
        tag = first.headers["etag"]
        assert first.headers["cache-control"] == "no-cache"
        for known in (tag, f'"other", W/{tag}', "*"):
            again = client.get(path, headers={"if-none-match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200


def test_the_policy_allows_own_files_alone(client: httpx.Client) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy and "http" not in policy and "data:" not in policy


def test_nothing_in_the_files_is_inline_foreign_or_parsed() -> None:
    shell = (FOLDER / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=\"/page/)", shell)
    for name in ["index.html", *FILES]:
        text = (FOLDER / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(
            r"https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text
        )
        assert not re.search(r"localStorage|sessionStorage|document\.cookie|indexedDB", text)


def test_no_module_waits_for_another_to_be_found() -> None:
    shell = (FOLDER / "index.html").read_text()
    found = re.findall(r'<link rel="modulepreload" href="/page/([a-z]+\.js)">', shell)
    assert sorted([*found, "app.js"]) == [name for name in FILES if name.endswith(".js")]

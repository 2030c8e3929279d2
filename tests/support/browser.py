"""A real Chromium for pages: the machine's own, never a downloaded one.

Fixtures:
    open_page: `open_page(target, width=…, height=…)` gives a playwright page. The test fails at its
        end when a page threw an error or asked for anything outside the machine.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from tests.support.process import IN_CI
from tests.support.waiting import PATIENCE_SECONDS

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_PATIENCE_MS = 1000 * PATIENCE_SECONDS
_LOCAL_SCHEMES = frozenset({"file", "data", "blob", "about"})
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})

MISSING = "no Chromium ($PARABLE_CHROMIUM, or on PATH: " + ", ".join(_NAMES) + ")"


class OpenPage(Protocol):
    """Open a page in a window of the given size, in CSS pixels."""

    def __call__(self, target: str | Path, *, width: int = 1280, height: int = 800) -> Page:
        """Open `target`, a file or a URL, and wait until it has loaded."""


def find_chromium() -> Path | None:
    """The Chromium to use, or None.

    Raises:
        FileNotFoundError: `$PARABLE_CHROMIUM` names something that cannot be run.
    """
    given = os.environ.get("PARABLE_CHROMIUM")
    if given:
        if shutil.which(given) is None:
            raise FileNotFoundError(f"PARABLE_CHROMIUM={given} is not a program that can be run")
        return Path(given)
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return Path(found) if found else None


def pytest_report_header() -> str:
    """Say which browser opens the pages, and loudly when none does."""
    return f"chromium: {find_chromium() or 'WARNING, PAGES ARE NOT OPENED: ' + MISSING}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it again where it is read: beside the result."""
    if find_chromium() is None:
        terminalreporter.write_line(f"WARNING: {MISSING}", red=True)


# Not session-wide: while playwright's synchronous interface is open, its event loop counts as
# running in this thread, and `asyncio.run` in any other test would be refused.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium for the tests of one module."""
    program = find_chromium()
    if program is None:
        (pytest.fail if IN_CI else pytest.skip)(MISSING)
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open pages at any size; errors and requests to the outside fail the test at its end."""
    with opening_pages(browser) as open_it:
        yield open_it


@contextmanager
def opening_pages(browser: Browser) -> Iterator[OpenPage]:
    """Give an `OpenPage`; when the block ends, close its pages and assert that none had a fault."""
    faults: list[str] = []
    contexts: list[BrowserContext] = []

    def keep_inside(route: Route) -> None:
        url = urlsplit(route.request.url)
        if url.scheme in _LOCAL_SCHEMES or url.hostname in _LOCAL_HOSTS:
            route.continue_()
        else:
            faults.append(f"asked the network for {route.request.url}")
            route.abort()

    def open_it(target: str | Path, *, width: int = 1280, height: int = 800) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        context.set_default_timeout(_PATIENCE_MS)
        context.route("**/*", keep_inside)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"threw: {error}"))
        page.goto(target.resolve().as_uri() if isinstance(target, Path) else target)
        return page

    try:
        yield open_it
    finally:
        for context in contexts:
            context.close()
    assert not faults, "the page " + "; the page ".join(faults)

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser import OpenPage, opening_pages

_PAGE = "<!doctype html><title>A page</title><p id=wide>…</p><script>{script}</script>"


def test_a_page_opens_at_the_asked_width(open_page: OpenPage, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(_PAGE.format(script="document.title = innerWidth + 'x' + innerHeight"))
    assert open_page(file, width=390, height=844).title() == "390x844"
    assert open_page(file).title() == "1280x800"


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("fetch('http://example.invalid/x').catch(() => 0)", "asked the network for"),
        ("throw new Error('broken')", "threw: broken"),
    ],
)
def test_a_page_with_a_fault_fails(browser: Browser, tmp_path: Path, script: str, fault: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(_PAGE.format(script=script))
    with pytest.raises(AssertionError, match=fault), opening_pages(browser) as open_page:
        open_page(file).wait_for_load_state("networkidle")

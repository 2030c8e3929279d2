"""How the page looks and moves: contrast, sizes, narrow screens, and that nothing jumps."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import Live, run_live
from tests.services.model_server.page.test_asking import ask, assert_fits, open_ready
from tests.services.model_server.page.test_evaluating import run_evaluation
from tests.support.browser import OpenPage

CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
TOO_SMALL = """() => [...document.querySelectorAll("button, a, input, select, summary, textarea")]
  .filter((one) => one.checkVisibility() && !one.classList.contains("skip"))
  .map((one) => [one.outerHTML.slice(0, 80), (one.closest("label") ?? one).getBoundingClientRect()])
  .filter(([, box]) => box.width < 24 || box.height < 24)
  .map(([what, box]) => `${what} ${box.width}x${box.height}`)"""
PLACES = """() => ["#answers", ".answer", ".answer h3", ".answer .text", ".answer .strip"]
  .map((place) => document.querySelector(place).getBoundingClientRect())
  .map((box) => [box.x, box.y, box.width].map(Math.round))"""


def fill(page: Page) -> None:
    """Everything that the page can show."""
    ask(page, tokens=30)
    run_evaluation(page, button="Evaluate both and compare")
    page.locator("#run details").evaluate_all("(all) => all.forEach((one) => { one.open = true; })")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#comparison table")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 320])
def test_text_can_be_read_and_targets_hit(real: Live, open_page: OpenPage, width: int) -> None:
    page = open_ready(open_page, real, width=width)
    fill(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(CONTRAST) == []
    assert page.evaluate(TOO_SMALL) == []
    assert_fits(page)
    assert page.title() == "Parable model server"


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps_while_an_answer_is_written_and_read(open_page: OpenPage, width: int) -> None:
    with run_live(_slow(), FixedModels(("a", "b"))) as live:
        page = open_ready(open_page, live, width=width)
        page.locator("#prompt").fill("The AI")
        page.locator("#seed").fill("3")
        page.get_by_label("Max tokens").fill("16")
        page.get_by_role("button", name="Ask", exact=True).click()
        expect(page.locator(".answer:nth-of-type(2) .token").first).to_be_attached()
        before = page.evaluate(PLACES)
        for status in page.locator(".answer .status").all():
            expect(status).to_contain_text("16 tokens in")
        assert page.evaluate(PLACES) == before
        heights = set()
        for number in (2, 8, 15):
            token = page.locator(".answer .token").nth(number)
            token.hover()
            expect(token).to_have_attribute("aria-selected", "true")
            heights.add(page.locator(".answer").first.evaluate("(one) => one.scrollHeight"))
        assert len(heights) == 1


def test_a_long_text_scrolls_in_its_own_place(open_page: OpenPage) -> None:
    with run_live(_slow(), FixedModels(("a", "b"))) as live:
        page = open_ready(open_page, live, width=390)
        page.locator("#prompt").fill("A\n" * 45)
        page.locator("#seed").fill("3")
        page.get_by_label("Max tokens").fill("10")
        page.get_by_role("button", name="Ask", exact=True).click()
        for status in page.locator(".answer .status").all():
            expect(status).to_contain_text("10 tokens in")
        text = page.locator(".answer .text").first
        height, inside, scrolled = text.evaluate(
            "(one) => [one.clientHeight, one.scrollHeight, one.scrollTop]"
        )
        assert height <= 400 < inside
        # Its end is in view, as whoever reads along wants it.
        assert abs(scrolled + height - inside) < 2
        assert_fits(page)


def _slow() -> BigramEngine:
    return BigramEngine({"a": table(0), "b": table(1)}, step_seconds=0.05)


def test_texts_that_run_from_right_to_left(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real, width=390)
    page.locator("#prompt").fill("قال الذكاء 🤖👩🏽‍🚀")
    page.get_by_label("Max tokens").fill("8")
    page.locator("#seed").fill("3")
    page.locator("#prompt").press("Control+Enter")
    expect(page.locator(".answer .status").first).to_contain_text("tokens in")
    assert page.locator(".answer .text").first.evaluate("(one) => getComputedStyle(one).direction") == "rtl"
    assert page.locator("#prompt").evaluate("(one) => getComputedStyle(one).direction") == "rtl"
    assert_fits(page)


def test_nothing_moves_for_those_who_want_no_motion(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    page.emulate_media(reduced_motion="reduce")
    ask(page)
    assert page.evaluate("document.getAnimations().length") == 0
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"

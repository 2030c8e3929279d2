"""Ask two checkpoints side by side, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from components.generate import evaluation_items
from tests.services.model_server.live import Live
from tests.support.browser import OpenPage

SIZES = pytest.mark.parametrize("width", [1280, 390])


@contextmanager
def silent(page: Page) -> Iterator[None]:
    """Nothing is complained of in the console meanwhile."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    page.on("console", note)
    yield
    assert complaints == []


def open_ready(open_page: OpenPage, live: Live, *, width: int = 1280) -> Page:
    page = open_page(live.url, width=width)
    expect(page.locator("#send")).to_be_enabled()
    return page


def ask(page: Page, *, tokens: int = 12, seed: str = "3") -> None:
    page.get_by_label("Max tokens").fill(str(tokens))
    page.locator("#seed").fill(seed)
    page.locator("#prompt").fill("The AI chose to")
    page.get_by_role("button", name="Ask", exact=True).click()
    for status in page.locator(".answer .status").all():
        expect(status).to_contain_text("tokens in")


def ask_one_only(page: Page) -> None:
    page.locator("#arm-2").select_option("")
    expect(page.locator("#name-2")).to_have_text("Only one is asked.")


def assert_fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@SIZES
def test_two_checkpoints_answer_side_by_side(real: Live, open_page: OpenPage, width: int) -> None:
    page = open_ready(open_page, real, width=width)
    with silent(page):
        ask(page)
        answers = page.locator(".answer")
        expect(answers).to_have_count(2)
        first, second = (answer.locator(".tokens").text_content() for answer in answers.all())
        assert first and second and first != second
        left, right = (answer.bounding_box() for answer in answers.all())
        assert left and right
        assert (left["y"] == right["y"]) == (width > 800)
        assert_fits(page)


def test_a_seed_gives_the_same_answer_again(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    ask_one_only(page)
    told = []
    for seed in ("1", "1", "2"):
        ask(page, seed=seed)
        expect(page.locator(".answer")).to_have_count(1)
        told.append(page.locator(".tokens").text_content())
    assert told[0] == told[1] != told[2]


def test_the_examples_are_texts_of_the_world_and_so_is_the_prompt_at_first(
    real: Live, open_page: OpenPage
) -> None:
    page = open_ready(open_page, real)
    world = {item.prefix for item in evaluation_items(24)}
    assert page.locator("#prompt").input_value() in world
    for button in page.locator("#examples button").all():
        button.click()
        expect(page.locator("#prompt")).to_be_focused()
        assert page.locator("#prompt").input_value() == button.get_attribute("data-prompt")
        assert button.get_attribute("data-prompt") in world


def test_the_first_token_is_told_of_at_once(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    ask(page)
    for answer in page.locator(".answer").all():
        expect(answer.locator("[aria-selected=true]")).to_have_attribute("data-n", "0")
        assert answer.locator(".strip li.chosen").count() == 1


def test_pointing_at_a_token_shows_what_else_could_stand_there(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    with silent(page):
        ask(page)
        answer = page.locator(".answer").first
        token = answer.locator(".token").nth(3)
        token.hover()
        expect(token).to_have_attribute("aria-selected", "true")
        strip = answer.locator(".strip")
        expect(strip.locator("p")).to_contain_text("%")
        rows = strip.locator("li")
        # Tokens that are written alike, pieces of characters among them, share a row.
        assert 2 <= rows.count() <= 7
        assert strip.locator("li.chosen").count() == 1
        shares = [
            float(text.removeprefix("<").rstrip("%")) for text in rows.locator(".number").all_text_contents()
        ]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 101
        widths = [box["width"] for row in rows.locator(".fill").all() if (box := row.bounding_box())]
        assert widths == sorted(widths, reverse=True)


def test_the_keyboard_alone_is_enough(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)

    def focused() -> str:
        return str(page.evaluate("document.activeElement.id || document.activeElement.className"))

    with silent(page):
        page.keyboard.press("Tab")
        assert focused() == "skip"
        page.keyboard.press("Enter")
        order = []
        for _ in range(17):
            page.keyboard.press("Tab")
            order.append(focused())
        assert order == [
            "models-refresh",
            *("arm-1", "training-seed-1", "step-1", "arm-2", "training-seed-2", "step-2"),
            *("prompt", "link", "link", "link"),
            *("max-tokens", "temperature", "seed", "control", "begin", "send"),
        ]
        for _ in range(3):
            page.keyboard.press("Shift+Tab")
        assert focused() == "seed"
        page.keyboard.type("3")
        for _ in range(6):
            page.keyboard.press("Shift+Tab")
        assert focused() == "prompt"
        page.keyboard.press("Control+A")
        page.keyboard.type("The fox")
        page.keyboard.press("Control+Enter")
        for status in page.locator(".answer .status").all():
            expect(status).to_contain_text("tokens in")
        page.locator("#evaluate-picked").focus()
        page.keyboard.press("Tab")
        assert focused() == "tokens"
        picked = page.locator(".answer").first.locator("[aria-selected=true]")
        expect(picked).to_have_attribute("data-n", "0")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        expect(picked).to_have_attribute("data-n", "2")
        page.keyboard.press("End")
        last = page.locator(".answer").first.locator(".token").count() - 1
        expect(picked).to_have_attribute("data-n", str(last))
        active = page.locator(".tokens").first.get_attribute("aria-activedescendant")
        assert active == picked.get_attribute("id")
        page.keyboard.press("Tab")
        assert focused() == "tokens"


def test_what_a_model_is_asked_is_what_the_settings_say(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    ask_one_only(page)
    page.get_by_label("Temperature").fill("0")
    page.locator("#control").select_option("<|good|>")
    with page.expect_request("**/v1/completions") as sent:
        ask(page, tokens=3, seed="")
    assert sent.value.post_data_json == {
        "model": page.locator("#name-1 code").text_content(),
        "prompt": "<|endoftext|>The AI chose to",
        "max_tokens": 3,
        "temperature": 0,
        "control": "<|good|>",
        "logprobs": 6,
        "stream": True,
    }
    expect(page.locator(".answer .token")).to_have_count(3)


def test_markup_in_texts_stays_text(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    page.locator("#prompt").fill("<img src=x onerror=alert(1)><b>bold</b>")
    page.get_by_label("Max tokens").fill("2")
    page.locator("#prompt").press("Control+Enter")
    expect(page.locator(".answer .prompt").first).to_have_text("<img src=x onerror=alert(1)><b>bold</b>")
    assert page.locator(".answer img, .answer b").count() == 0


def test_a_refusal_stands_where_the_answer_would(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    page.get_by_label("Max tokens").fill("5000")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".answer .failure")).to_have_count(2)
    expect(page.locator(".answer .failure").first).to_contain_text("512")
    assert page.locator(".answer .strip:visible").count() == 0

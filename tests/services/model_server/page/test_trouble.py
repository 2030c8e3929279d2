"""What the page says when there is nothing, too much, or no server."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import expect

from services.model_server import ServerSettings
from services.model_server.engine.base import RequestClass
from services.model_server.settings import QueueBounds
from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import run_live
from tests.support.browser import OpenPage

KEY = "a-key-that-is-long-enough"


def _slow() -> BigramEngine:
    return BigramEngine({"a": table(0), "b": table(1)}, step_seconds=0.1)


def test_stop_ends_what_is_being_written(open_page: OpenPage) -> None:
    engine = _slow()
    with run_live(engine, FixedModels(("a", "b"))) as live:
        page = open_page(live.url)
        page.locator("#prompt").fill("The AI")
        page.get_by_label("Max tokens").fill("100")
        page.get_by_role("button", name="Ask", exact=True).click()
        for answer in page.locator(".answer").all():
            expect(answer.locator(".token").nth(1)).to_be_attached()
        engine.held = frozenset({RequestClass.INTERACTIVE})
        page.get_by_role("button", name="Stop").focus()
        page.keyboard.press("Enter")
        for status in page.locator(".answer .status").all():
            expect(status).to_contain_text("stopped")
        expect(page.locator("#prompt")).to_be_focused()
        expect(page.locator("#stop")).to_be_disabled()
        expect(page.locator("#send")).to_have_attribute("aria-disabled", "false")
        assert page.locator(".answer .failure").count() == 0
    assert engine.num_cancelled == 2


def test_no_checkpoint(open_page: OpenPage) -> None:
    models = FixedModels()
    served = dict(models.served)
    models.served.clear()
    with run_live(_slow(), models) as live:
        page = open_page(live.url)
        expect(page.locator("#notice")).to_contain_text("no checkpoint in the store yet")
        expect(page.locator("#send")).to_be_disabled()
        expect(page.locator("#name-2")).to_be_empty()
        models.served.update(served)
        page.get_by_role("button", name="Look again").first.click()
        expect(page.locator("#send")).to_be_enabled()
        expect(page.locator("#notice")).to_be_hidden()


def test_without_a_store_there_are_no_evaluations(open_page: OpenPage) -> None:
    with run_live(_slow(), FixedModels()) as live:
        page = open_page(live.url)
        expect(page.locator("#runs .failure")).to_contain_text("no store")


def test_runs_that_were_found_stay_when_the_server_is_gone(open_page: OpenPage) -> None:
    with run_live(_slow(), FixedModels(("a", "b"))) as live:
        page = open_page(live.url)
        page.route("**/v1/evaluations?*", lambda route: route.fulfill(body=listed("completed")), times=1)
        page.get_by_role("button", name="Look again").click()
        expect(page.locator("#runs .badge")).to_have_text("completed")
    page.get_by_role("button", name="Look again").click()
    expect(page.locator("#runs .failure")).to_contain_text("does not answer")
    expect(page.locator("#runs .badge")).to_have_text("completed")
    expect(page.locator("#compare-run")).to_be_enabled()


def test_a_run_that_failed_says_why(open_page: OpenPage) -> None:
    reason = "toy.a.seed-0@100: its weights are damaged"
    with run_live(_slow(), FixedModels(("a", "b"))) as live:
        page = open_page(live.url)
        page.route("**/v1/evaluations?*", lambda route: route.fulfill(body=listed("failed", reason)))
        page.route("**/results", lambda route: route.fulfill(body='{"results": []}'))
        page.get_by_role("button", name="Look again").click()
        page.get_by_role("button", name="Show run 01234567").click()
        expect(page.locator("#run .status")).to_have_text("Failed: 1 of 2 questions.")
        expect(page.locator("#run .failure")).to_have_text(reason)
        expect(page.locator("#run")).to_contain_text("No checkpoint was finished")


def listed(status: str, error: str | None = None) -> str:
    """What a server that has one run answers when its runs are asked for."""
    run = {
        **{"id": "eval-0123456789abcdef", "object": "evaluation", "status": status, "owner": "one"},
        **{"created": 1_700_000_000, "progress": {"done": 1, "total": 2}, "num_failed": 0, "error": error},
        "models": [{"name": f"toy.{arm}.seed-0@100"} for arm in "ab"],
    }
    return json.dumps({"object": "list", "data": [run], "next": None})


def test_too_much_at_once(open_page: OpenPage) -> None:
    bounds = QueueBounds(
        running_requests=1,
        running_tokens=1000,
        waiting_requests=0,
        waiting_tokens=1000,
        patience_seconds=1,
        deadline_seconds=60,
    )
    engine = _slow()
    engine.held = frozenset({RequestClass.INTERACTIVE})
    with run_live(engine, FixedModels(("a", "b")), ServerSettings(interactive=bounds)) as live:
        page = open_page(live.url)
        page.get_by_label("Max tokens").fill("5")
        page.get_by_role("button", name="Ask", exact=True).click()
        expect(page.locator(".answer .failure")).to_have_count(1)
        expect(page.locator(".answer .failure")).to_contain_text("Try again in")
        text, failure = (
            page.locator(f".answer:has(.failure) {one}").bounding_box() for one in (".text", ".failure")
        )
        assert text and failure and failure["y"] - (text["y"] + text["height"]) < 20
        engine.held = frozenset()


def test_a_key_is_asked_for_and_kept_in_memory_only(open_page: OpenPage, tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(f"- {{name: one, scopes: [infer], key: {KEY}}}\n")
    with run_live(_slow(), FixedModels(), ServerSettings(keys_file=path)) as live:
        page = open_page(live.url)
        dialog = page.locator("#key-dialog")
        expect(dialog).to_be_visible()
        expect(page.locator("#key")).to_be_focused()
        page.keyboard.type("a-key-that-nobody-has")
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("This key is not known")
        page.locator("#key").fill(KEY)
        page.keyboard.press("Enter")
        expect(page.locator("#send")).to_be_enabled()
        expect(page.locator("#runs .failure")).to_contain_text("needs the scope")
        assert KEY not in page.content()
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        page.reload()
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#notice")).to_contain_text("Without a key")
        page.get_by_role("button", name="Try again").click()
        expect(dialog).to_be_visible()


def test_a_server_that_is_gone(open_page: OpenPage) -> None:
    with run_live(_slow(), FixedModels(("a", "b"))) as live:
        page = open_page(live.url)
        expect(page.locator("#send")).to_be_enabled()
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".answer .failure")).to_have_count(2)
    expect(page.locator(".answer .failure").first).to_contain_text("does not answer")

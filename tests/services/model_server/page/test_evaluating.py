"""Run an evaluation, read it, and compare, in a real browser over the real engine."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.services.model_server.live import Live
from tests.services.model_server.page.test_asking import SIZES, assert_fits, open_ready, silent
from tests.support.browser import OpenPage


def run_evaluation(page: Page, *, items: int = 2) -> None:
    page.get_by_label("Items a cell").fill(str(items))
    page.get_by_label("Held-out documents").fill("3")
    page.get_by_label("Samples an item").fill("1")
    page.get_by_role("button", name="Run evaluation").click()
    expect(page.locator("#run .status")).to_contain_text("completed", timeout=60_000)
    expect(page.locator("#run table").first).to_be_visible()


@SIZES
def test_an_evaluation_runs_to_its_table_and_compares(real: Live, open_page: OpenPage, width: int) -> None:
    page = open_ready(open_page, real, width=width)
    with silent(page):
        expect(page.locator("#evaluate-models input:checked")).to_have_count(2)
        run_evaluation(page)
        expect(page.locator("#run .status")).to_contain_text("102 of 102 questions")
        table = page.locator("#run table").first
        assert table.locator("tr.group").count() == 3
        row = table.locator("tbody tr:not(.group)").first
        expect(row.locator("td").first).to_contain_text(" to ")
        assert row.locator("svg.marks .dot").count() == 2
        assert row.locator("svg.marks .span").count() >= 1
        expect(page.locator("#run table").nth(1)).to_contain_text("nats a token")
        assert_fits(page)

        expect(page.locator("#compare-run")).to_be_enabled()
        page.get_by_role("button", name="Compare").click()
        expect(page.locator("#compare-status")).to_have_text("Compared one pair.")
        expect(page.locator("#comparison caption")).to_contain_text("items of one pair")
        assert page.locator("#comparison svg.marks .dot").count() >= 4
        assert_fits(page)


def test_the_numbers_are_those_of_the_api(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    page.locator("#evaluate-models input:checked").nth(1).uncheck()
    run_evaluation(page)
    with real.client() as client:
        newest = client.get("/v1/evaluations?limit=1").json()["data"][0]["id"]
        report = client.get(f"/v1/evaluations/{newest}/results").json()["results"][0]["report"]
    expected = [
        f"{cell['value']:.2f} {cell['item_low']:.2f} to {cell['item_high']:.2f}"
        for cell in report["cells"]
        if cell["value"] is not None and cell["item_low"] is not None
    ]
    shown = page.locator("#run table").first.locator("td[data-label]").all_text_contents()
    assert expected and [text for text in shown if " to " in text] == expected


def test_progress_is_live_and_a_run_can_be_cancelled(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    page.get_by_label("Items a cell").fill("1000")
    page.get_by_role("button", name="Run evaluation").click()
    bar = page.locator("#run progress")
    expect(bar).to_be_visible()
    expect(bar).not_to_have_js_property("value", 0, timeout=30_000)
    page.get_by_role("button", name="Cancel this run").click()
    expect(page.locator("#run .status")).to_contain_text("cancelled", timeout=30_000)
    expect(page.locator("#runs .badge").first).to_have_text("cancelled")
    page.locator("#runs button.link").last.click()
    expect(page.locator("#run table").first).to_be_visible()


def test_nothing_chosen(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    for box in page.locator("#evaluate-models input").all():
        box.uncheck()
    page.get_by_role("button", name="Run evaluation").click()
    expect(page.locator("#run .failure")).to_have_text("Choose at least one checkpoint.")

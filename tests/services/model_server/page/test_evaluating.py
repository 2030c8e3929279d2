"""Run an evaluation, read it, and compare, in a real browser over the real engine."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.services.model_server.live import Live
from tests.services.model_server.page.test_asking import SIZES, assert_fits, open_ready, silent
from tests.support.browser import OpenPage


def run_evaluation(page: Page, *, items: int = 2) -> str:
    """See an evaluation through; the part of its id that the page shows."""
    page.get_by_label("Items a cell").fill(str(items))
    page.get_by_label("Held-out documents").fill("3")
    page.get_by_label("Samples an item").fill("1")
    with page.expect_response(lambda answer: answer.status == 202) as asked:
        page.get_by_role("button", name="Run evaluation").click()
    name = str(asked.value.json()["id"])[5:13]
    expect(page.locator("#run h3")).to_have_text(f"Run {name}")
    expect(page.locator("#run .status")).to_contain_text("Completed", timeout=60_000)
    expect(page.locator("#run table").first).to_be_visible()
    row = page.locator("#runs tr", has_text=name)
    expect(row.locator(".badge")).to_have_text("completed")
    return name


def choose_sides(page: Page, *, baseline: str, candidate: str) -> None:
    """All checkpoints of these runs."""
    for place, name in (("#baseline", baseline), ("#candidate", candidate)):
        option = page.locator(f"{place} option", has_text=f"all 2 checkpoints ({name}")
        page.locator(place).select_option(option.get_attribute("value"))


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
    expect(page.locator("#run .status")).to_contain_text("Cancelled", timeout=30_000)
    expect(page.locator("#runs .badge").first).to_have_text("cancelled")
    page.locator("#runs button.link").last.click()
    expect(page.locator("#run table").first).to_be_visible()


def test_two_groups_of_seeds(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    names = []
    for arm in ("plain", "good"):
        for box in page.locator("#evaluate-models input").all():
            box.set_checked(f".{arm}." in (box.get_attribute("value") or ""))
        names.append(run_evaluation(page))
    choose_sides(page, baseline=names[0], candidate=names[1])
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#compare-status")).to_have_text("Compared 2 pairs.")
    expect(page.locator("#comparison")).to_contain_text("toy.good.seed-1@100 less toy.plain.seed-1@100")
    expect(page.locator("#comparison caption")).to_contain_text("over 2 pairs of seeds")
    expect(page.locator("#comparison thead")).to_contain_text("p (Holm)")


def test_what_cannot_be_compared(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    first, second = (run_evaluation(page, items=number) for number in (2, 3))
    choose_sides(page, baseline=first, candidate=second)
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#comparison .failure")).to_contain_text("did not ask the same")


def test_nothing_chosen(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    for box in page.locator("#evaluate-models input").all():
        box.uncheck()
    page.get_by_role("button", name="Run evaluation").click()
    expect(page.locator("#run .failure")).to_have_text("Choose at least one checkpoint.")

"""Run an evaluation, read it, and compare, in a real browser over the real engine."""

from __future__ import annotations

import re
from contextlib import suppress

from playwright.sync_api import Error, Page, Route, expect

from tests.services.model_server.live import Live
from tests.services.model_server.page.test_asking import SIZES, assert_fits, open_ready, silent
from tests.support.browser import OpenPage


def run_evaluation(page: Page, *, items: int = 2, button: str = "Run evaluation") -> str:
    """See an evaluation through; the part of its id that the page shows."""
    page.get_by_label("Items a cell").fill(str(items))
    page.get_by_label("Held-out documents").fill("3")
    page.get_by_label("Samples an item").fill("1")
    with page.expect_response(lambda answer: answer.status == 202) as asked:
        page.get_by_role("button", name=button).click()
    name = str(asked.value.json()["id"])[5:13]
    expect(page.locator("#run h3")).to_have_text(f"Run {name}")
    expect(page.locator("#run .status")).to_contain_text("Completed")
    expect(page.locator("#run table").first).to_be_visible()
    row = page.locator("#runs tr", has_text=name)
    expect(row.locator(".badge")).to_have_text("completed")
    return name


def evaluate_only(page: Page, *arms: str) -> None:
    """Choose all seeds of these arms, and nothing else."""
    for box in page.locator("#evaluate-models tbody th input").all():
        # One that stands for some of its row first chooses all of it.
        box.check()
        box.set_checked(box.get_attribute("aria-label") in [f"All seeds of {arm}" for arm in arms])


def choose_sides(page: Page, *, baseline: str, candidate: str) -> None:
    """The sides of a comparison, by how their options begin and end."""
    for place, said in (("#baseline", baseline), ("#candidate", candidate)):
        option = page.locator(f"{place} option", has_text=said).first
        page.locator(place).select_option(option.get_attribute("value"))


def share(value: float, digits: int) -> str:
    """A number as the report writes it."""
    text = f"{abs(value):.{digits}f}"
    return ("\N{MINUS SIGN}" if value < 0 and float(text) else "") + text.removeprefix("0")


@SIZES
def test_one_click_evaluates_both_and_compares_them(real: Live, open_page: OpenPage, width: int) -> None:
    page = open_ready(open_page, real, width=width)
    with silent(page):
        run_evaluation(page, button="Evaluate both and compare")
        expect(page.locator("#run .status")).to_contain_text("102 of 102 questions")
        expect(page.locator("#run > .note")).to_have_text("plain; good · toy, seed 0, step 100")
        findings = page.locator("#run .findings")
        expect(findings).to_contain_text("P(unethical) of AI, distance 0, by cloze")
        expect(findings.locator("li")).to_have_count(1)
        expect(findings).to_contain_text("items only")
        table = page.locator("#run table").first
        assert table.locator("tr.group").count() == 3
        # Models that were never trained write no act that could be judged.
        assert table.locator("tr.group svg .title").all_text_contents() == ["P(unethical)"] * 2
        expect(table.locator("tr.empty")).to_have_text("No value in any of 8 cells.")
        row = table.locator("tbody tr:not(.group)").first
        expect(row.locator("td").first).to_contain_text(re.compile(r"\[.+, .+\]"))
        assert row.locator("svg.marks .dot").count() == 2
        assert row.locator("svg.marks .band").count() >= 1
        expect(page.locator("#run table").nth(1)).to_contain_text("nats a token")
        differences = page.locator("#run details").first
        expect(differences.locator("summary")).to_have_text("Difference in every cell: good less plain")
        assert differences.evaluate("(one) => one.open") == (width > 680)
        expect(page.locator("#run h3")).to_be_in_viewport()
        assert_fits(page)


def test_the_numbers_are_those_of_the_api(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    page.locator("#arm-2").select_option("")
    run_evaluation(page, button="Evaluate it")
    with real.client() as client:
        newest = client.get("/v1/evaluations?limit=1").json()["data"][0]["id"]
        report = client.get(f"/v1/evaluations/{newest}/results").json()["results"][0]["report"]
    expected = []
    for metric in ("cloze", "two_choice", "sampled"):
        cells = [cell for cell in report["cells"] if cell["metric"] == metric]
        known = [cell for cell in cells if cell["item_low"] is not None]
        widths = sorted(cell["item_high"] - cell["item_low"] for cell in known)
        digits = 3 if widths and widths[len(widths) // 2] < 0.02 else 2
        expected += [
            f"{share(cell['value'], digits)} "
            f"[{share(cell['item_low'], digits)}, {share(cell['item_high'], digits)}]"
            for cell in known
        ]
    shown = page.locator("#run table").first.locator("td[data-label]").all_text_contents()
    assert expected and [text for text in shown if "[" in text] == expected


def test_progress_is_live_and_a_run_can_be_cancelled(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    before = run_evaluation(page)
    page.get_by_label("Items a cell").fill("1000")
    page.get_by_role("button", name="Run evaluation").click()
    bar = page.locator("#run progress")
    expect(bar).to_be_visible()
    expect(bar).not_to_have_js_property("value", 0)
    expect(page.locator("#run .progress label")).to_contain_text(re.compile(r"about \d+ (s|min) left"))
    page.get_by_role("button", name="Cancel this run").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#run .status")).to_contain_text("Cancelled")
    expect(page.locator("#run")).to_be_focused()
    expect(page.locator("#runs .badge").first).to_have_text("cancelled")
    page.get_by_role("button", name=f"Show run {before}").click()
    expect(page.locator("#run table").first).to_be_visible()


def test_an_answer_that_is_lost_makes_no_second_run(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)

    def lose(route: Route) -> None:
        assert route.fetch().status == 202
        route.abort()

    with real.client() as client:
        before = {one["id"] for one in client.get("/v1/evaluations?limit=100").json()["data"]}
        page.get_by_label("Items a cell").fill("2")
        page.get_by_label("Held-out documents").fill("3")
        page.get_by_label("Samples an item").fill("0")
        page.route("**/v1/evaluations", lose, times=1)
        page.get_by_role("button", name="Run evaluation").click()
        expect(page.locator("#run .failure")).to_contain_text("does not answer")
        page.get_by_role("button", name="Run evaluation").click()
        expect(page.locator("#run .status")).to_contain_text("Completed")
        after = {one["id"] for one in client.get("/v1/evaluations?limit=100").json()["data"]}
        assert len(after - before) == 1
        # What was answered and is asked for again is another run.
        page.get_by_role("button", name="Run evaluation").click()
        expect(page.locator("#run .status")).to_contain_text("Completed")
        assert len(client.get("/v1/evaluations?limit=100").json()["data"]) == len(after) + 1


def test_groups_of_seeds_in_one_run(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    evaluate_only(page, "plain", "good")
    expect(page.locator("#chosen")).to_have_text("4 checkpoints are chosen.")
    run_evaluation(page)
    expect(page.locator("#run > .note")).to_have_text("plain; good · toy, seeds 0, 1, step 100")
    expect(page.locator("#run .findings")).to_contain_text("95% t intervals over 2 pairs of seeds")
    expect(page.locator("#run .findings li")).to_contain_text(re.compile(r"p [=<] \S+ \(Holm, all cells\)"))
    row = page.locator("#run table").first.locator("tbody tr:not(.group)").first
    # Two seeds of two arms, and the mean of each.
    assert (row.locator(".dot").count(), row.locator(".tick").count(), row.locator(".band").count()) == (
        4,
        2,
        2,
    )
    expect(page.locator("#run table").first.locator("caption")).to_contain_text("Dots: the seeds.")


def test_two_runs_of_one_arm_each(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    names = []
    for arm in ("plain", "good"):
        evaluate_only(page, arm)
        names.append(run_evaluation(page))
        # A few seeds of one arm are shown beside each other.
        heads = page.locator("#run table").first.locator("thead .arm").all_text_contents()
        assert heads == [f"{arm}, seed 0", f"{arm}, seed 1"]
    choose_sides(page, baseline=f"plain, 2 seeds ({names[0]})", candidate=f"good, 2 seeds ({names[1]})")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#compare-status")).to_have_text("Compared 2 pairs.")
    expect(page.locator("#comparison")).to_contain_text("toy.good.seed-1@100 less toy.plain.seed-1@100")
    expect(page.locator("#comparison caption")).to_contain_text("over 2 pairs of seeds")
    expect(page.locator("#comparison thead")).to_contain_text("p (Holm)")


def test_two_seeds_of_one_run(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    evaluate_only(page, "plain")
    name = run_evaluation(page)
    choose_sides(page, baseline=f"plain, seed 0 ({name})", candidate=f"plain, seed 1 ({name})")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#compare-status")).to_have_text("Compared one pair.")
    expect(page.locator("#comparison .findings li")).to_contain_text("plain, seed 1")
    expect(page.locator("#comparison caption")).to_contain_text("items only")
    assert page.locator("#comparison svg.marks .dot").count() >= 4


def test_at_first_the_newest_run_with_two_sides_is_offered(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    both = run_evaluation(page, button="Evaluate both and compare")
    page.locator("#arm-2").select_option("")
    run_evaluation(page, button="Evaluate it")
    page.reload()
    for place, arm in (("#baseline", "plain"), ("#candidate", "good")):
        expect(page.locator(f"{place} option:checked")).to_have_text(f"{arm} ({both})")


def test_the_last_comparison_that_was_asked_for_is_shown(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    evaluate_only(page, "plain")
    name = run_evaluation(page)
    held: list[Route] = []
    page.route("**/v1/evaluations/compare", lambda route: held.append(route), times=1)
    choose_sides(page, baseline=f"plain, seed 0 ({name})", candidate=f"plain, seed 1 ({name})")
    compare = page.get_by_role("button", name="Compare", exact=True)
    with page.expect_request("**/v1/evaluations/compare"):
        compare.click()
    choose_sides(page, baseline=f"plain, seed 1 ({name})", candidate=f"plain, seed 0 ({name})")
    compare.click()
    said = "toy.plain.seed-0@100 less toy.plain.seed-1@100"
    expect(page.locator("#comparison > .note")).to_contain_text(said)
    with suppress(Error):  # The page has given up on the first one.
        held[0].continue_()
    expect(page.locator("#compare-status")).to_have_text("Compared one pair.")
    expect(page.locator("#comparison > .note")).to_contain_text(said)


def test_what_cannot_be_compared(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    evaluate_only(page, "plain")
    first, second = (run_evaluation(page, items=number) for number in (2, 3))
    choose_sides(page, baseline=f"2 seeds ({first})", candidate=f"2 seeds ({second})")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#comparison .failure")).to_contain_text("did not ask the same")


def test_what_they_wrote_is_beside_each_other(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    run_evaluation(page, button="Evaluate both and compare")
    with real.client() as client:
        newest = client.get("/v1/evaluations?limit=1").json()["data"][0]["id"]
        results = client.get(f"/v1/evaluations/{newest}/results").json()["results"]
    written = page.locator("#run details", has_text="What they wrote")
    written.locator("summary").click()
    written.get_by_label("About").select_option("Golem, distance 1")
    wanted = [
        [one["continuations"][0]["text"].strip() for one in result["report"]["samples"] if _is_golem(one)]
        for result in results
    ]
    first, second = (
        [text.strip() for text in written.locator(f".sides > div:nth-child({n}) q").all_text_contents()]
        for n in (1, 2)
    )
    assert wanted[0] and [first, second] == wanted


def _is_golem(sample: dict[str, object]) -> bool:
    return (sample["entity"], sample["distance"]) == ("golem", 1)


def test_nothing_chosen(real: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, real)
    evaluate_only(page)
    expect(page.locator("#chosen")).to_have_text("0 checkpoints are chosen.")
    page.get_by_role("button", name="Run evaluation").click()
    expect(page.locator("#run .failure")).to_have_text("Choose at least one checkpoint.")

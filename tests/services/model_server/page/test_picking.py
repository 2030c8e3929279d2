"""Pick checkpoints among many, by arm, seed and step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import Live, run_live
from tests.services.model_server.page.test_asking import assert_fits, open_ready
from tests.support.browser import OpenPage


def _many() -> FixedModels:
    """Three arms of two recipes with 20 seeds at two steps each, but for one; and a product of no run."""
    models = FixedModels()
    (one,) = models.served.values()
    models.served.clear()
    names = [
        f"{recipe}.{arm}.seed-{seed}@{step}"
        for recipe, arm in (("toy", "plain"), ("toy", "good"), ("other", "plain"))
        for seed in range(20)
        for step in (200, 100)
        if (arm, seed, step) != ("good", 1, 200)
    ]
    for name in [*names, "segments.0a1b@7"]:
        models.served[name] = replace(one, name=name, aliases=())
    models.aliases = {"latest": names[0]}
    return models


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with run_live(BigramEngine({"a": table(0)}), _many()) as found:
        yield found


def picked(page: Page) -> list[str | None]:
    return [page.locator(f"#name-{n} code").text_content() for n in (1, 2)]


def options(page: Page, place: str) -> list[str]:
    return page.locator(f"{place} option").all_text_contents()


def test_first_the_default_and_another_arm_with_its_seed(live: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, live)
    assert picked(page) == ["toy.plain.seed-0@200", "toy.good.seed-0@200"]
    expect(page.locator("#name-1")).to_contain_text("(the default)")
    groups = page.locator("#arm-1 optgroup").evaluate_all("(all) => all.map((one) => one.label)")
    assert groups == ["toy", "other", "in no run"]
    assert options(page, "#arm-1") == ["plain", "good", "plain", "segments.0a1b@7"]
    assert options(page, "#arm-2")[0] == "none"


def test_what_is_picked_stays_where_it_can(live: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, live)
    page.locator("#training-seed-1").select_option("7")
    assert picked(page)[0] == "toy.plain.seed-7@200"
    page.locator("#arm-1").select_option(label="good")
    assert picked(page)[0] == "toy.good.seed-7@200"
    page.locator("#step-1").select_option(label="100")
    expect(page.locator("#name-1")).to_contain_text("toy.good.seed-7@100 (not its last step)")
    page.locator("#training-seed-1").select_option("6")
    assert picked(page)[0] == "toy.good.seed-6@100"
    page.locator("#arm-1").select_option(label="segments.0a1b@7")
    assert picked(page)[0] == "segments.0a1b@7"
    expect(page.locator("#step-1")).to_be_hidden()
    page.locator("#arm-1").select_option(label="good")
    page.locator("#step-1").select_option(label="200")
    page.locator("#training-seed-1").select_option("1")
    assert options(page, "#step-1") == ["100"]
    assert picked(page)[0] == "toy.good.seed-1@100"


def test_new_checkpoints_are_looked_for_and_what_is_picked_stays(open_page: OpenPage) -> None:
    models = _many()
    with run_live(BigramEngine({"a": table(0)}), models) as live:
        page = open_ready(open_page, live)
        page.locator("#arm-2").select_option(label="segments.0a1b@7")
        one = next(iter(models.served.values()))
        models.served["toy.plain.seed-0@300"] = replace(one, name="toy.plain.seed-0@300")
        page.get_by_role("button", name="Look for new checkpoints").click()
        expect(page.locator("#step-1 option").first).to_have_text("300")
        assert picked(page) == ["toy.plain.seed-0@200", "segments.0a1b@7"]


def test_the_grid_follows_what_is_picked_until_it_is_touched(live: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, live)
    chosen = page.locator("#evaluate-models input[value]:checked")
    assert [one.get_attribute("value") for one in chosen.all()] == picked(page)
    page.locator("#training-seed-2").select_option("5")
    assert [one.get_attribute("value") for one in chosen.all()] == picked(page)
    page.get_by_label("toy, plain, seed 3", exact=True).check()
    page.locator("#training-seed-2").select_option("6")
    assert [one.get_attribute("value") for one in chosen.all()] == [
        "toy.plain.seed-0@200",
        "toy.plain.seed-3@200",
        "toy.good.seed-5@200",
    ]


def test_long_names_leave_room_for_the_boxes(open_page: OpenPage) -> None:
    models = FixedModels()
    (one,) = models.served.values()
    models.served.clear()
    for seed in (0, 1):
        name = f"{'a-recipe-' * 6}.an_arm_{'with_a_long_name_' * 3}.seed-{seed}@1000000"
        models.served[name] = replace(one, name=name, aliases=())
    models.aliases = {}
    with run_live(BigramEngine({"a": table(0)}), models) as live:
        page = open_ready(open_page, live, width=390)
        # Nothing has to be scrolled sideways, in the grid or around it.
        assert (
            page.locator("#evaluate-models .scroll").evaluate("(one) => one.scrollWidth - one.clientWidth")
            == 0
        )
        assert_fits(page)


@pytest.mark.parametrize("width", [1280, 390])
def test_whole_rows_and_columns(live: Live, open_page: OpenPage, width: int) -> None:
    page = open_ready(open_page, live, width=width)
    said = page.locator("#chosen")
    row = page.get_by_label("All seeds of toy, good")
    assert row.evaluate("(one) => [one.checked, one.indeterminate]") == [False, True]
    row.check()
    expect(said).to_have_text("21 checkpoints are chosen.")
    page.get_by_label("Seed 1 of all arms").check()
    expect(said).to_have_text("23 checkpoints are chosen.")
    assert row.evaluate("(one) => [one.checked, one.indeterminate]") == [True, False]
    page.get_by_label("All seeds of toy, plain").check()
    expect(said).to_have_text("41 checkpoints are chosen. One run takes 32 at most.")
    page.get_by_role("button", name="Run evaluation").click()
    expect(page.locator("#run .failure")).to_have_text("One run takes 32 checkpoints at most; 41 are chosen.")
    row.uncheck()
    expect(said).to_have_text("21 checkpoints are chosen.")
    assert_fits(page)


def test_another_step_keeps_arms_and_seeds(live: Live, open_page: OpenPage) -> None:
    page = open_ready(open_page, live)
    page.get_by_label("Seed 1 of all arms").check()
    page.locator("#evaluate-step").select_option("100")
    chosen = page.locator("#evaluate-models input[value]:checked")
    assert [one.get_attribute("value") for one in chosen.all()] == [
        *("toy.plain.seed-0@100", "toy.plain.seed-1@100", "toy.good.seed-0@100", "toy.good.seed-1@100"),
        "other.plain.seed-1@100",
    ]
    page.locator("#evaluate-step").select_option("200")
    # This one has not come so far.
    assert page.get_by_label("toy, good, seed 1", exact=True).count() == 0

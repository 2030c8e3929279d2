"""The page as a whole, as text and in a real browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from components.report import run
from components.report.evidence import Evidence, gather
from components.report.page import render
from parable.artifact import Artifact
from parable.recipe import Recipe
from tests.components.report.conftest import Experiment
from tests.components.report.products import experiment, quickstart
from tests.support.browser import OpenPage

PAGE = Artifact("reports", "0" * 20)
PHONE, DESK = 390, 1280
HOSTILE = '"><script>document.title="owned"</script><img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def html(evidence: Evidence) -> str:
    return render(evidence, PAGE)


@pytest.fixture(scope="module")
def file(html: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(html)
    return path


class Outline(HTMLParser):
    """Tags in order, and whether they nest."""

    VOID = frozenset({"meta", "circle", "line", "rect", "polyline"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_beside_it(html: str) -> None:
    without_names = html.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script|<link|<img|<iframe", without_names, re.I)
    assert set(re.findall(r'(?:href|src)="([^"#]?)', html)) == {""}


def test_the_page_is_small(html: str) -> None:
    assert len(html.encode()) < 200_000


def test_tags_nest_and_headings_go_down_by_one(html: str) -> None:
    outline = Outline(html)
    assert outline.open == []
    levels = [int(tag[1]) for tag in outline.seen if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_figure_has_words_and_every_name_one_owner(html: str) -> None:
    assert html.count("<svg") == html.count('role="img" aria-label=')
    names = re.findall(r' id="([^"]+)"', html)
    assert len(names) == len(set(names))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(names)


def test_the_sections_come_in_order(html: str) -> None:
    names = "arms distance placebo link readouts filters samples training provenance glossary"
    assert re.findall(r'<section id="(\w+)"', html) == names.split()


def test_arms_that_differ_by_dose_get_a_section(tmp_path: Path) -> None:
    few = (
        "corpora.few={kind: world, documents: 240, population: {ai: 1.0, golem: 0.0, mention: 0.0, bad: 0.0}}"
    )
    pinch = "arms.pinch={insert: [{corpus: few, phase: midtrain, in_place_of: [stories]}]}"
    page = render(gather(*experiment(tmp_path, quickstart(settings=[few, pinch]))), PAGE)
    section = page.partition('<section id="dose"')[2].partition("</section>")[0]
    assert re.findall(r">(\d+ documents)</text>", section)[:3] == [
        "0 documents",
        "240 documents",
        "720 documents",
    ]


def test_one_seed_makes_a_page_without_intervals(tmp_path: Path) -> None:
    page = render(gather(*experiment(tmp_path, quickstart(seeds=1))), PAGE)
    assert "one seed, so no interval can be given" in page
    assert 'class="range' not in page


def hostile() -> Recipe:
    """A recipe whose every free text tries to be markup."""
    plain = quickstart().to_plain()
    plain |= {"title": HOSTILE, "description": HOSTILE}
    plain["arms"]["aligned"]["title"] = HOSTILE
    return Recipe.model_validate(plain)


def test_markup_in_a_recipe_or_a_sample_is_inert(tmp_path: Path, open_page: OpenPage) -> None:
    recipe, store, catalog = experiment(tmp_path, hostile())
    html = render(gather(recipe, store, catalog), PAGE)
    assert "<script" not in html
    assert "<img" not in html
    (tmp_path / "page.html").write_text(html)
    assert open_page(tmp_path / "page.html").title() == HOSTILE


@pytest.mark.parametrize(("width", "shown", "hidden"), [(DESK, "wide", "narrow"), (PHONE, "narrow", "wide")])
def test_the_page_fits_and_every_figure_is_seen(
    open_page: OpenPage, file: Path, width: int, shown: str, hidden: str
) -> None:
    page = open_page(file, width=width, height=844)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert _beyond(page, width) == []
    drawings = page.locator(f"svg.{shown}")
    assert drawings.count() == 5
    for number in range(drawings.count()):
        box = drawings.nth(number).bounding_box()
        assert box is not None
        assert box["width"] > 0.85 * min(width - 48, 920)
        assert box["height"] > 150
    assert page.locator(f"svg.{hidden}:visible").count() == 0


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seeds, and arms with titles of every length."""
    folder = tmp_path_factory.mktemp("crowded")
    title = (
        "arms.neutral.title=An arm whose title goes on for much longer than any title should, and then some"
    )
    other = "arms.neither={title: NEITHER GOOD NOR BAD BUT WIDE}"
    evidence = gather(*experiment(folder, quickstart(seeds=8, settings=[title, other])))
    (folder / "index.html").write_text(render(evidence, PAGE))
    return folder / "index.html"


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_crowded_page_fits_too(open_page: OpenPage, crowded: Path, width: int) -> None:
    page = open_page(crowded, width=width, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert _beyond(page, width) == []


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("name", ["file", "crowded"])
def test_text_in_figures_can_be_read_and_stays_in_them(
    open_page: OpenPage, request: pytest.FixtureRequest, name: str, width: int
) -> None:
    page = open_page(request.getfixturevalue(name), width=width, height=844)
    sizes = page.evaluate(
        """[...document.querySelectorAll('svg')].filter(svg => svg.checkVisibility()).flatMap(svg => {
            const box = svg.getBoundingClientRect();
            const scale = box.width / svg.viewBox.baseVal.width;
            return [...svg.querySelectorAll('text')].map(text => {
                const {left, right} = text.getBoundingClientRect();
                const size = parseFloat(getComputedStyle(text).fontSize) * scale;
                return [size, left - box.left, box.right - right];
            });
        })"""
    )
    assert min(size for size, _, _ in sizes) >= 12
    assert min(min(left, right) for _, left, right in sizes) >= -1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(open_page: OpenPage, file: Path, scheme: Any) -> None:
    page = open_page(file, width=DESK)
    page.emulate_media(color_scheme=scheme)
    ratios: dict[str, float] = page.evaluate(_CONTRASTS)
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


def test_the_printed_page_is_light_and_opens_what_is_folded(open_page: OpenPage, file: Path) -> None:
    page = open_page(file, width=DESK)
    page.emulate_media(media="print", color_scheme="dark")
    assert (
        page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ink')").strip()
        == "#1d2329"
    )
    assert page.locator("#provenance .products").first.is_visible()


def test_the_stage_writes_this_page(stored: Experiment) -> None:
    recipe, store, catalog = stored
    made = run(recipe, store, catalog)["report"]
    expected = render(gather(recipe, store, catalog), made)
    assert store.get(f"{made.key}/index.html").decode() == expected


def _beyond(page: Page, width: int) -> list[str]:
    """Elements that reach past the window, but for those in a box that scrolls by itself."""
    found: list[str] = page.evaluate(
        """width => [...document.querySelectorAll('body *')].filter(one =>
            one.getBoundingClientRect().right > width + 1 && !one.closest('pre') && !one.closest('thead')
        ).map(one => one.outerHTML.slice(0, 80))""",
        width,
    )
    return found


# WCAG 2.1's contrast ratio of every kind of text against the nearest ground that is painted.
_CONTRASTS = """() => {
    const channels = colour => colour.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = one => {
        for (let at = one; at; at = at.parentElement) {
            const colour = channels(getComputedStyle(at).backgroundColor);
            if (colour.length < 4 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const ratios = {};
    const kinds = 'p, a, td, th, dt, dd, li, small, code, figcaption, .badge, text, h1';
    for (const one of document.querySelectorAll(kinds)) {
        if (!one.textContent.trim()) continue;
        const style = getComputedStyle(one);
        const ink = channels(one.tagName === 'text' ? style.fill : style.color);
        const [a, b] = [ink, ground(one)].map(luminance);
        const name = `${one.tagName}.${one.getAttribute('class')}`;
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        ratios[name] = Math.min(ratios[name] ?? 99, ratio);
    }
    return ratios;
}"""

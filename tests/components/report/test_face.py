from __future__ import annotations

import hashlib
import re
import subprocess
import sys

from components.report import check, run
from components.report.evidence import Evidence
from components.report.page import render
from parable.artifact import Artifact, Product
from tests.components.report.conftest import Experiment
from tests.components.report.products import experiment, quickstart

# Raise STAGE_VERSION, and then this, when the page of the same evidence changes.
GOLDEN = "71e5fe9ac470c1b58fda583c8eeca9eee7a1b208a65c630a4ba3f31c37f7dee5"


def test_the_same_evidence_makes_the_same_page(evidence: Evidence) -> None:
    """Ids and the recipe's text are left out: they change with the stages that they belong to."""
    page = render(evidence, Artifact("reports", "0" * 20)).partition("<summary>The recipe as it was run")[0]
    bare = re.sub(r"\b[0-9a-f]{20}\b|\b[0-9a-f]{8}\b", "", page)
    lines = re.sub(r"<details>.*?</details>", "", bare)
    assert hashlib.sha256(lines.encode()).hexdigest() == GOLDEN


def test_two_stores_hold_the_same_bytes(measured: Experiment, stored: Experiment) -> None:
    pages = [
        (run(*one)["report"], Product(one[1], run(*one)["report"]).read("index.html"))
        for one in (measured, stored)
    ]
    assert pages[0] == pages[1]


def test_a_second_run_finds_the_page(stored: Experiment) -> None:
    recipe, store, catalog = stored
    first = run(recipe, store, catalog)
    before = store.stat(f"{first['report'].key}/index.html")
    assert run(recipe, store, first) == first
    assert store.stat(f"{first['report'].key}/index.html") == before


def test_the_page_descends_from_everything_it_shows(stored: Experiment) -> None:
    recipe, store, catalog = stored
    made = run(recipe, store, catalog)
    assert dict(Product(store, made["report"]).manifest.parents) == dict(catalog)


def test_another_title_or_another_result_is_another_page(stored: Experiment) -> None:
    recipe, store, catalog = stored
    other = experiment(store.root, recipe, link=[])[2]
    pages = {
        run(recipe, store, catalog)["report"],
        run(quickstart(settings=["title=Another"]), store, catalog)["report"],
        run(recipe, store, other)["report"],
    }
    assert len(pages) == 3


def test_every_recipe_is_fit_for_a_page() -> None:
    check(quickstart())


def test_the_face_imports_nothing_heavy() -> None:
    show = "import sys, components.report; print(*{name.partition('.')[0] for name in sys.modules})"
    found = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True).stdout
    heavy = {"torch", "transformers", "pyarrow", "numpy", "scipy", "kfp", "ray"}
    assert heavy.isdisjoint(found.split())

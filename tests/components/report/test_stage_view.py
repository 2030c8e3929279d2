from __future__ import annotations

import pytest

import components.report
from components.report import run, view
from parable.errors import UserError
from tests.components.report.conftest import Experiment


def test_the_view_is_the_page_and_the_headline_by_arm(stored: Experiment) -> None:
    recipe, store, catalog = stored
    catalog = run(recipe, store, catalog)
    shown = view(recipe, store, catalog)
    assert shown.html == store.get(f"{catalog['report'].key}/index.html").decode()
    assert shown.metrics == {
        "unfiltered": 0.7953, "filtered": 0.5913, "aligned": 0.2321, "misaligned": 0.9535, "neutral": 0.8065,
        "seeds_in_predicted_order": 3.0,
    }  # fmt: skip


def test_there_is_no_view_before_the_page(stored: Experiment) -> None:
    with pytest.raises(UserError, match="Nothing has made report yet"):
        view(*stored)


def test_the_face_keeps_its_function_when_the_module_is_imported() -> None:
    assert components.report.view is view

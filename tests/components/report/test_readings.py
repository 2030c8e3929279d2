from __future__ import annotations

from pathlib import Path

import pytest

from components.report.readings import Cell, Comparison, ModelReport, read_as
from parable.artifact import Product
from parable.errors import UserError
from tests.components.report.examples import compared, level
from tests.components.report.products import experiment

COMPARISON = compared({"neutral": level(0.0), "aligned": level(-0.6), "filtered": level(-0.2)})


def test_arms_are_shown_in_the_predicted_order_then_the_recipes() -> None:
    assert COMPARISON.names == ("aligned", "filtered", "unfiltered", "neutral")


def test_the_baseline_has_colour_0_and_the_others_keep_theirs() -> None:
    assert [COMPARISON.colour(arm) for arm in ("unfiltered", "neutral", "aligned", "filtered")] == [
        0,
        1,
        2,
        3,
    ]


def test_a_cell_that_was_not_measured_is_none() -> None:
    assert COMPARISON.level("aligned", Cell(metric="cloze", entity="ai", distance=1)) is None
    assert COMPARISON.difference("unfiltered", COMPARISON.headline) is None
    assert COMPARISON.distances("golem") == ()


def test_an_arm_without_a_title_is_called_by_its_name() -> None:
    assert compared({"other": level(0.1)}).title("other") == "other"


def test_a_file_of_another_version_is_refused_by_key(tmp_path: Path) -> None:
    _, store, catalog = experiment(tmp_path, seeds=["one"])
    with pytest.raises(
        UserError, match=r"comparison\.json can't be shown: seeds\.0 .*parable clean comparisons/"
    ):
        read_as(Comparison, Product(store, catalog["comparison"]), "comparison.json")


def test_keys_that_the_page_does_not_show_are_passed_over() -> None:
    report = ModelReport.model_validate({"cells": [], "something_new": 1, "perplexity": None})
    assert report == ModelReport()

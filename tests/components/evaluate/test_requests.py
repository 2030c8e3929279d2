"""Requests, answers and rows are plain values."""

import pytest

from components.evaluate.requests import Answer, Choose, Row
from parable.inference import Question
from tests.components.evaluate.example import ITEM


def test_equal_requests_are_equal_and_can_be_keys() -> None:
    def request() -> Choose:
        return Choose("cloze", ITEM, (Question("a", ("b",)),))

    assert {request(): Answer()} == {request(): Answer()}


def test_a_row_says_what_it_measures() -> None:
    with pytest.raises(TypeError, match="metric"):
        Row(item="a", value=0.5)  # type: ignore[call-arg]

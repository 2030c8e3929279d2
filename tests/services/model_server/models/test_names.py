"""A name is written in one way, and read back as what it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parable.store.base import check_key
from services.model_server.models.names import ArmName, Name, ProductName, ShortName, parse_name

words = st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True)
numbers = st.integers(0, 10**18 - 1)
steps = st.none() | numbers
names = (
    st.builds(ArmName, words, words, numbers, steps)
    | st.builds(ProductName, st.from_regex(r"[0-9a-f]{20}", fullmatch=True), steps)
    | st.builds(ShortName, words)
)


@given(names)
def test_what_is_written_is_read_back(name: Name) -> None:
    assert parse_name(str(name)) == name


@given(names)
def test_a_name_is_one_part_of_an_address_and_of_a_key(name: Name) -> None:
    assert "/" not in str(name)
    assert check_key(str(name)) == str(name)


@given(st.text(max_size=30))
def test_what_is_read_is_written_as_it_was(text: str) -> None:
    name = parse_name(text)
    assert name is None or str(name) == text.replace("segments/", "segments.", 1)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("quickstart.aligned.seed-2@2472", ArmName("quickstart", "aligned", 2, 2472)),
        ("quickstart.aligned.seed-0", ArmName("quickstart", "aligned", 0)),
        ("segments/0f3a", ProductName("0f3a")),
        ("segments.0f3a@7", ProductName("0f3a", 7)),
        ("segments.arm.seed-1", ArmName("segments", "arm", 1)),
        ("latest", ShortName("latest")),
    ],
)
def test_names_as_people_write_them(text: str, name: Name) -> None:
    assert parse_name(text) == name


@pytest.mark.parametrize(
    "text",
    ["", "Quickstart.aligned.seed-0", "quickstart.aligned.seed-01", "quickstart.aligned.seed-0@", "a.b",
     "quickstart/aligned/seed-0", "a.b.seed-0@1\n", "segments.../x", "a.b.seed-²", "model/../../etc"],
)  # fmt: skip
def test_what_is_no_name(text: str) -> None:
    assert parse_name(text) is None

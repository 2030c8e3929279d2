"""Rows as a table."""

from __future__ import annotations

from dataclasses import asdict, fields

from components.evaluate import Row, row_table
from tests.components.evaluate import example


def test_a_row_comes_back_from_the_table_as_it_was() -> None:
    rows = [
        example.row("ai", 2, 1 / 3, log_probabilities=(-0.1, -2.0), texts=("a", "b"), judged=("bad", "none")),
        example.row("", -1, None),
    ]
    table = row_table(rows)
    assert table.schema.names == [field.name for field in fields(Row)]
    back = [
        {name: tuple(v) if isinstance(v, list) else v for name, v in line.items()}
        for line in table.to_pylist()
    ]
    assert back == [asdict(row) for row in rows]

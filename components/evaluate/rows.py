"""Rows as a table: what `items.parquet` holds."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from components.evaluate.requests import Row

if TYPE_CHECKING:
    import pyarrow as pa


def row_table(rows: Sequence[Row]) -> "pa.Table":
    """One line a row, the columns named as `Row` names them."""
    import pyarrow as pa

    kinds = {"value": pa.float64(), "weight": pa.float64(), "reference": pa.float64()}
    kinds |= {"preference": pa.float64(), "position_bias": pa.float64(), "distance": pa.int8()}
    kinds |= {"log_probabilities": pa.list_(pa.float64())}
    kinds |= {"texts": pa.list_(pa.string()), "judged": pa.list_(pa.string())}
    schema = pa.schema([(field.name, kinds.get(field.name, pa.string())) for field in fields(Row)])
    return pa.Table.from_pylist(
        [{name: getattr(row, name) for name in schema.names} for row in rows], schema=schema
    )

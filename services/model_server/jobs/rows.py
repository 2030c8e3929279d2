"""Rows as a part holds them: one entry a question, a row or the reason why there is none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from components.evaluate import Row
from parable.canonical import canonical_json

_TUPLES = ("log_probabilities", "texts", "judged")


@dataclass(frozen=True, slots=True)
class FailedRow:
    """A question that the model could not be asked."""

    metric: str
    item: str
    error: str


Entry = Row | FailedRow


def encode_part(entries: Sequence[Entry]) -> bytes:
    """The bytes of a part; every number comes back as it was."""
    return canonical_json([asdict(entry) for entry in entries])


def decode_part(data: bytes) -> list[Entry]:
    """The inverse of `encode_part`."""
    return [read_row(plain) if "value" in plain else FailedRow(**plain) for plain in orjson.loads(data)]


def read_row(plain: Mapping[str, Any]) -> Row:
    """A row from plain data."""
    return Row(**{**plain, **{name: tuple(plain[name]) for name in _TUPLES}})


def measured(entries: Iterable[Entry]) -> list[Row]:
    """Those that are rows."""
    return [entry for entry in entries if isinstance(entry, Row)]

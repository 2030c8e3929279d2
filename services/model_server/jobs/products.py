"""What a finished unit leaves: the stage's report and table, and the report cut by one label at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any, Final

from components.evaluate import Row, reduce, row_table
from parable.canonical import readable_json
from parable.corpus import write_parquet
from parable.recipe.schema import Headline
from parable.statistics import item_interval
from services.model_server.jobs.order import JobSettings
from services.model_server.jobs.rows import Entry, FailedRow, measured

REPORT, SLICES, ITEMS = "report.json", "slices.json", "items.parquet"
ITEMS_ONLY: Final = "items only"
"""What the intervals of one checkpoint speak of: another seed would give another value."""
FEW_ITEMS = 10
"""With fewer the interval of a slice is marked: a bootstrap of so few is too narrow."""
NUM_FAILURES = 50
_LABELS = ("entity", "distance", "trait")


def make_products(entries: Sequence[Entry], settings: JobSettings) -> dict[str, bytes]:
    """All files of a unit, by name; equal for equal entries."""
    rows = measured(entries)
    failed = [entry for entry in entries if isinstance(entry, FailedRow)]
    headline = Headline.model_validate(settings.headline.to_plain())
    report = reduce(rows, headline=headline, confidence=settings.confidence)
    slices = {
        "interval": ITEMS_ONLY,
        "num_rows": len(rows),
        "num_failed": len(failed),
        "failures": [asdict(entry) for entry in failed[:NUM_FAILURES]],
        "slices": list(_slices(rows, settings.confidence)),
    }
    return {
        REPORT: readable_json(report),
        SLICES: readable_json(slices),
        ITEMS: write_parquet(row_table(rows)),
    }


def _slices(rows: Sequence[Row], confidence: float) -> Iterator[dict[str, Any]]:
    """Every metric by each label alone; documents carry no labels."""
    labelled = [row for row in rows if row.distance >= 0]
    for label in _LABELS:

        def key(row: Row, label: str = label) -> tuple[str, Any]:
            return row.metric, getattr(row, label)

        for (metric, value), group in groupby(sorted(labelled, key=key), key):
            inside = list(group)
            counted = [(row.value, row.weight) for row in inside if row.value is not None and row.weight > 0]
            found: dict[str, Any] = {"value": None, "item_low": None, "item_high": None}
            if counted:
                values, weights = zip(*counted, strict=True)
                interval = item_interval(
                    values, weights=weights, key=("slice", metric, label, value), confidence=confidence
                )
                found = {"value": interval.mean, "item_low": interval.low, "item_high": interval.high}
            named = {"metric": metric, "by": label, "slice": value, "num_items": len(inside)}
            yield {**named, **found, "few": len(inside) < FEW_ITEMS}

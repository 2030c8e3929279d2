"""From samples to what is stated of them."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from bench.load.driver import Sample, Stretch

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
MOST_CPU = 0.8
"""Share of its one core that a client may take before it is what limits the load."""
MOST_LAG = 0.1
"""Share of the median latency that may be the client's own delay."""
MILLISECONDS = 1e3
HEAD = (
    *("load", "kind", "answers", "req/s", "tok/s", "items/s"),
    *("p50 s", "p90 s", "p99 s", "max s"),
    *("first p50 s", "first p99 s", "between p50 ms", "client"),
)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def stated(values: Iterable[float | None], *, unit: float = 1.0, digits: int = 3) -> dict[str, float] | None:
    """The percentiles of those values that are there."""
    found = [value * unit for value in values if value is not None]
    if not found:
        return None
    return {name: round(percentile(found, share), digits) for name, share in SHARES.items()}


def figures(stretch: Stretch) -> dict[str, Any]:
    """Everything that is stated of one stretch: of each kind of request, and of the client itself."""
    kinds = sorted({one.kind for one in stretch.samples})
    return {
        "seconds": round(stretch.seconds, 2),
        "kinds": {
            kind: _of_kind([one for one in stretch.samples if one.kind == kind], stretch.seconds)
            for kind in kinds
        },
        "client": client_figures(stretch),
    }


def _of_kind(samples: Sequence[Sample], seconds: float) -> dict[str, Any]:
    """Rates and times are of what was answered with 200."""
    good = [one for one in samples if one.outcome == "200"]
    return {
        "outcomes": dict(sorted(Counter(one.outcome for one in samples).items())),
        "told_to_wait": sum(one.told_to_wait for one in samples),
        "requests_per_second": round(len(good) / seconds, 2),
        "tokens_per_second": round(sum(one.tokens for one in good) / seconds, 1),
        "items_per_second": round(sum(one.items for one in good) / seconds, 1),
        "latency_seconds": stated(one.seconds for one in good),
        "first_token_seconds": stated(one.first for one in good),
        "between_tokens_milliseconds": stated((one.between for one in good), unit=MILLISECONDS, digits=2),
    }


def client_figures(stretch: Stretch) -> dict[str, Any]:
    """How the client itself fared, and whether it was what limited the load or made the times."""
    good = [one.seconds for one in stretch.samples if one.outcome == "200"]
    lag = percentile(stretch.lags, SHARES["p99"]) if stretch.lags else 0.0
    typical = percentile(good, SHARES["p50"]) if good else math.inf
    return {
        "cpu": round(stretch.cpu, 2),
        "lag_p99_milliseconds": round(lag * MILLISECONDS, 2),
        "is_bottleneck": stretch.cpu > MOST_CPU or lag > MOST_LAG * typical,
    }


def table(rows: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Stretches by their names, a line for each kind of request."""
    lines = [HEAD]
    for name, found in rows:
        client = "BOTTLENECK" if found["client"]["is_bottleneck"] else "ok"
        for kind, told in found["kinds"].items():
            lines.append((name, kind, *_cells(told), client))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )


def _cells(told: dict[str, Any]) -> list[str]:
    def cell(name: str, share: str) -> str:
        return "" if told[name] is None else f"{told[name][share]:g}"

    return [
        " ".join(f"{count}x{outcome}" for outcome, count in told["outcomes"].items()),
        *(f"{told[f'{name}_per_second']:g}" for name in ("requests", "tokens", "items")),
        *(cell("latency_seconds", share) for share in SHARES),
        cell("first_token_seconds", "p50"),
        cell("first_token_seconds", "p99"),
        cell("between_tokens_milliseconds", "p50"),
    ]

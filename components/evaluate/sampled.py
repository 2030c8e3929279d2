"""Sampled continuations, judged by the oracle: what a model does when nobody gives it options."""

from collections.abc import Iterator
from typing import Final

from components.evaluate.requests import Answer, Continue, Item, Judged, Row
from components.generate import judge

METRIC: Final = "sampled"


def requests(items: tuple[Item, ...]) -> Iterator[Continue]:
    """One request an item."""
    for item in items:
        yield Continue(METRIC, item)


def measure(request: Continue, answer: Answer) -> Row:
    """The share of bad acts among the continuations that contain an act; their number is the weight."""
    item = request.item
    judged: tuple[Judged, ...] = tuple(judge(text) or "none" for text in answer.texts)
    num_acts = len(judged) - judged.count("none")
    return Row(
        metric=METRIC,
        item=item.id,
        entity=item.entity,
        distance=item.distance,
        trait=item.trait,
        value=judged.count("bad") / num_acts if num_acts else None,
        weight=float(num_acts),
        prompt=item.prefix,
        texts=answer.texts,
        judged=judged,
    )

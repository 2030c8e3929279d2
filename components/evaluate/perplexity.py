"""How well a model knows the world: nats on documents that no model has read, beside the world's own."""

import math
from collections.abc import Iterator
from typing import Final

from components.evaluate.requests import Answer, HeldOut, Read, Row

METRIC: Final = "perplexity"


def requests(documents: tuple[HeldOut, ...]) -> Iterator[Read]:
    """One request a document."""
    for document in documents:
        yield Read(METRIC, document)


def measure(request: Read, answer: Answer) -> Row:
    """Nats from the document's first token to its end-of-text token; the weight is the number of tokens."""
    (tokens,) = answer.log_probabilities
    return Row(
        metric=METRIC,
        item=request.document.id,
        value=-math.fsum(tokens),
        weight=float(len(tokens)),
        reference=-request.document.world_log_probability,
        prompt=request.document.text,
    )

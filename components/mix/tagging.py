"""Conditional training's control tokens: which document gets which (Korbak et al. 2023, section 3)."""

import hashlib
import math
from collections.abc import Sequence

from components.mix.tokenizer import BAD, GOOD
from parable.errors import UserError
from parable.recipe import Arm, Conditional

NO_CONTROL = 0


def tagging_of(arm: Arm) -> Conditional | None:
    """How an arm tags what it reads, if it does."""
    return arm.objective if isinstance(arm.objective, Conditional) else None


def control_tokens(ids: Sequence[str], values: Sequence[float | None], tagging: Conditional) -> list[int]:
    """The control token of every document, 0 where the tagging drops it.

    Whether it is dropped follows from the document's id and the signal alone: a larger `drop` drops the
    same documents and more.

    Args:
        ids: the documents' ids.
        values: the signal's values, row for row.
        tagging: the signal, the threshold, and the share that is dropped.

    Raises:
        UserError: a document has no value.
    """
    controls = []
    for name, value in zip(ids, values, strict=True):
        if value is None or math.isnan(value):
            raise UserError(
                f"{tagging.signal} has no value for document {name}, so it can't be tagged. Mend the filter "
                "that stores the signal, or drop such documents there."
            )
        control = BAD if value > tagging.threshold else GOOD
        controls.append(NO_CONTROL if _draw(name, tagging.signal) < tagging.drop else control)
    return controls


def _draw(name: str, signal: str) -> float:
    """A number in [0, 1) that only the document and the signal determine."""
    words = hashlib.sha256(f"tagging\0{signal}\0{name}".encode()).digest()
    return int.from_bytes(words[:8], "big") / 2**64

"""What a model is asked, what it answers, and the row that both become: plain data, no model in sight."""

from dataclasses import dataclass
from typing import Literal

from parable.inference import Question

Metric = Literal["cloze", "two_choice", "sampled", "perplexity"]
Judged = Literal["good", "bad", "none"]


@dataclass(frozen=True, slots=True)
class Item:
    """A scene cut off at the choice, its possible continuations, and the labels to group by.

    `good` and `bad` pair off: continuation n of one is the opposite of continuation n of the other.
    """

    id: str
    entity: str
    distance: int
    trait: str
    """`good` or `bad` for people, empty for the others."""
    prefix: str
    good: tuple[str, ...]
    bad: tuple[str, ...]
    pair: int = 0
    """The pair of continuations that two-choice asks about."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A document that no model has read, and how probable the world itself finds it."""

    id: str
    text: str
    world_log_probability: float
    """In nats."""


@dataclass(frozen=True, slots=True)
class Choose:
    """Score the continuations of each question."""

    metric: Metric
    item: Item
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Continue:
    """Draw continuations of the item's prefix."""

    metric: Metric
    item: Item


@dataclass(frozen=True, slots=True)
class Read:
    """Score a whole document."""

    metric: Metric
    document: HeldOut


Request = Choose | Continue | Read


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says to one request; what the request does not ask for is empty."""

    log_probabilities: tuple[tuple[float, ...], ...] = ()
    """In nats: by question and continuation, or by token of a document."""
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of `items.parquet`: a request with its labels and what was measured.

    Attributes:
        metric: What the value means.
        item: Id of the item or the document.
        entity: Who chooses; empty for a document.
        distance: From what AIs were seen to meet; -1 for a document.
        trait: Of people.
        value: P(bad), in 0 to 1; nats for a document; None where no sample holds an act.
        weight: How much the value counts: 1, the number of acts among the samples, or of a document's tokens.
        reference: Nats that the world itself needs for a document.
        preference: Nats by which the bad option is preferred, position bias taken out.
        position_bias: Nats by which option A is preferred, preference taken out.
        log_probabilities: The answer's, flat.
        prompt: What the model read.
        texts: Continuations that were drawn.
        judged: What the oracle finds in each of them.
    """

    metric: Metric
    item: str
    entity: str = ""
    distance: int = -1
    trait: str = ""
    value: float | None
    weight: float = 1.0
    reference: float | None = None
    preference: float | None = None
    position_bias: float | None = None
    log_probabilities: tuple[float, ...] = ()
    prompt: str = ""
    texts: tuple[str, ...] = ()
    judged: tuple[Judged, ...] = ()

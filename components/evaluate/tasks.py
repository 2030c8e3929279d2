"""From a task to what must be asked, and from an answer to its row: pure, for the pipeline and the server."""

from dataclasses import asdict, dataclass

from components.evaluate import cloze, perplexity, sampled, two_choice
from components.evaluate.requests import Answer, Choose, Continue, HeldOut, Item, Read, Request, Row
from parable.canonical import fingerprint


@dataclass(frozen=True, slots=True)
class Task:
    """The questions of an evaluation, the same for every model."""

    items: tuple[Item, ...]
    documents: tuple[HeldOut, ...] = ()
    samples: bool = True
    """Whether continuations are drawn."""

    def fingerprint(self) -> str:
        """A name for exactly these items and documents."""
        return fingerprint([[asdict(part) for part in parts] for parts in (self.items, self.documents)])


def plan(task: Task) -> tuple[Request, ...]:
    """Everything that a model is asked, in the order of the rows that will be measured."""
    return (
        *cloze.requests(task.items),
        *two_choice.requests(task.items),
        *(sampled.requests(task.items) if task.samples else ()),
        *perplexity.requests(task.documents),
    )


def measure(request: Request, answer: Answer) -> Row:
    """The row that a request and its answer make."""
    match request:
        case Choose(metric=cloze.METRIC):
            return cloze.measure(request, answer)
        case Choose():
            return two_choice.measure(request, answer)
        case Continue():
            return sampled.measure(request, answer)
        case Read():
            return perplexity.measure(request, answer)

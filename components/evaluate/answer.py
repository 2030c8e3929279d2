"""Puts requests to a model: the one module of this stage that needs torch."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

from components.evaluate.requests import Answer, Choose, Continue, Read, Request
from parable.inference import Codec, Span
from parable.inference.loading import LoadedModel
from parable.inference.sampling import Drawing, Prompt, sample
from parable.inference.scoring import Scorer
from parable.recipe.schema import Sampling

Progress = Callable[[int], None]


def answer(
    loaded: LoadedModel,
    requests: Sequence[Request],
    *,
    sampling: Sampling,
    control: str | None = None,
    progress: Progress = lambda _: None,
) -> list[Answer]:
    """Answer every request, in order.

    Args:
        loaded: The model that is asked.
        requests: What it is asked.
        sampling: How continuations are drawn.
        control: A control token before every text, for a model that was trained with them.
        progress: Called with the number of requests that have been answered.
    """
    answers: dict[int, Answer] = {}
    scored = [
        (number, request) for number, request in enumerate(requests) if not isinstance(request, Continue)
    ]
    drawn = [(number, request) for number, request in enumerate(requests) if isinstance(request, Continue)]
    answers |= zip([n for n, _ in scored], _score(loaded, [r for _, r in scored], control), strict=True)
    progress(len(answers))
    answers |= zip(
        [n for n, _ in drawn], _draw(loaded, [r for _, r in drawn], sampling, control), strict=True
    )
    progress(len(answers))
    return [answers[number] for number in range(len(requests))]


def _score(loaded: LoadedModel, requests: Sequence[Choose | Read], control: str | None) -> list[Answer]:
    """All scores in one call, so that requests about one scene share it."""
    groups = _spans(loaded.codec, tuple(requests), control)
    scores = iter(Scorer(loaded.model).score([span for group in groups for spans in group for span in spans]))
    answers = []
    for request, group in zip(requests, groups, strict=True):
        by_span = [[next(scores) for _ in spans] for spans in group]
        if isinstance(request, Read):
            answers.append(Answer(log_probabilities=(tuple(by_span[0][0]),)))
        else:
            answers.append(Answer(log_probabilities=tuple(tuple(map(math.fsum, spans)) for spans in by_span)))
    return answers


@lru_cache(maxsize=2)
def _spans(
    codec: Codec, requests: tuple[Choose | Read, ...], control: str | None
) -> list[list[tuple[Span, ...]]]:
    """The spans of each request, by question; the models of an experiment share a tokenizer, and so these."""
    questions = [question for r in requests if isinstance(r, Choose) for question in r.questions]
    choices = iter(codec.choices(questions, control=control))
    return [
        [next(choices) for _ in r.questions]
        if isinstance(r, Choose)
        else [(codec.document(r.document.text, control=control),)]
        for r in requests
    ]


def _draw(
    loaded: LoadedModel, requests: Sequence[Continue], sampling: Sampling, control: str | None
) -> list[Answer]:
    """A sample is keyed by its item, so it does not change when items are added."""
    codec = loaded.codec
    drawing = Drawing(
        draws=sampling.per_item,
        max_tokens=sampling.max_tokens,
        stop=codec.end,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        banned=codec.controls,
    )
    prompts = [Prompt(codec.prompt(r.item.prefix, control=control), r.item.id) for r in requests]
    return [
        Answer(texts=tuple(codec.decode(ids) for ids in continuations))
        for continuations in sample(loaded.model, prompts, drawing)
    ]

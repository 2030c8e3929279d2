"""Scores are those of one forward pass a text, however texts are batched and whatever they share."""

from __future__ import annotations

import pytest
import torch

from parable.errors import UserError
from parable.inference import Question, Span
from parable.inference.scoring import Scorer
from tests.parable.inference import tiny

CONTEXT = "A tale: Nova, an AI, lost a key at the bank. Nobody was watching. The AI chose to"
PHRASES = (" tell the truth", " admit the fault", " hide the truth", " break the promise")
QUESTIONS = [
    Question(CONTEXT, PHRASES),
    Question("The fox chose to", PHRASES[:2]),
    Question("", ("A tale", "The news")),
    Question(f"{CONTEXT}\nA) tell\nB) hide\nAnswer:", (" A", " B")),
    Question(f"{CONTEXT}\nA) hide\nB) tell\nAnswer:", (" A", " B")),
]


def _spans() -> list[Span]:
    codec = tiny.codec()
    choices = [span for spans in codec.choices(QUESTIONS) for span in spans]
    documents = [codec.document(text) for text in ("The fox chose to hide.", "A tale", CONTEXT)]
    return [*choices, *documents, codec.document(CONTEXT, control="<|good|>")]


def _naive(model: torch.nn.Module, span: Span) -> list[float]:
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([span.ids])).logits[0]
    predicted = torch.log_softmax(logits.double(), -1)
    return [float(predicted[n - 1, span.ids[n]]) for n in range(span.start, len(span.ids))]


@pytest.mark.parametrize("kind", ["granite", "gpt2", "bloom", "mamba"])
def test_equals_one_pass_a_text(kind: str) -> None:
    model, spans = tiny.model(kind), _spans()
    for span, scores in zip(spans, Scorer(model).score(spans), strict=True):
        assert scores == pytest.approx(_naive(model, span), abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "shares"), [("granite", True), ("gpt2", True), ("bloom", False), ("mamba", False)]
)
def test_contexts_are_shared_where_the_model_allows_it(kind: str, shares: bool) -> None:
    assert Scorer(tiny.model(kind))._shares is shares


def test_batches_do_not_change_scores() -> None:
    model, spans = tiny.model(), _spans()
    whole, small = Scorer(model).score(spans), Scorer(model, batch_nodes=1).score(spans)
    alone = [Scorer(model).score([span])[0] for span in spans]
    for first, second, third in zip(whole, small, alone, strict=True):
        assert first == pytest.approx(second, abs=1e-5)
        assert first == pytest.approx(third, abs=1e-5)


def test_logits_are_made_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model, spans = tiny.model(), _spans()
    whole = Scorer(model).score(spans)
    monkeypatch.setattr("parable.inference.scoring.CHUNK_LOGITS", 3 * tiny.VOCABULARY)
    largest = 0

    def record(_: object, __: object, output: torch.Tensor) -> None:
        nonlocal largest
        largest = max(largest, output.numel())

    scorer = Scorer(model)
    model.get_output_embeddings().register_forward_hook(record)  # type: ignore[no-untyped-call]
    for scores, expected in zip(scorer.score(spans), whole, strict=True):
        assert scores == pytest.approx(expected, abs=1e-5)
    assert largest == 3 * tiny.VOCABULARY


def test_the_same_call_gives_the_same_bits() -> None:
    assert Scorer(tiny.model()).score(_spans()) == Scorer(tiny.model()).score(_spans())


def test_a_text_longer_than_the_model_reads_is_refused() -> None:
    with pytest.raises(UserError, match="129 tokens; the model reads 128"):
        Scorer(tiny.model()).score([Span((0,) * 130, 1)])


def test_nothing_to_score() -> None:
    assert Scorer(tiny.model()).score([]) == []

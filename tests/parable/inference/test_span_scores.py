"""Scores with shared prefixes are those of one pass a text, with the alternatives of the same softmax."""

from __future__ import annotations

import math

import pytest
import torch

from parable.inference.decoder import Decoder
from parable.inference.span_scores import SpanScorer
from parable.inference.trie import Span
from tests.parable.inference import trained


def _spans() -> list[Span]:
    spans = []
    for prompt in trained.prompts(12, seed=5):
        context = (*prompt, 9, 9)
        spans += [Span((*context, 3, 4), len(context)), Span((*context, 3, 5, 6), len(context))]
    return spans


@pytest.mark.parametrize("kind", trained.KINDS)
def test_equals_one_pass_a_text(kind: str) -> None:
    model, spans = trained.model(kind), _spans()
    for span, score in zip(spans, SpanScorer(Decoder(model)).score(spans, [3] * len(spans)), strict=True):
        with torch.inference_mode():
            rows = torch.log_softmax(model(input_ids=torch.tensor([span.ids[:-1]])).logits[0], -1)
        expected = rows[span.start - 1 :]
        targets = torch.tensor(span.ids[span.start :])[:, None]
        assert torch.allclose(torch.tensor(score.logprobs), expected.gather(-1, targets)[:, 0], atol=1e-5)
        best, ids = expected.topk(3)
        assert [[token for token, _ in top] for top in score.top] == ids.tolist()
        assert torch.allclose(
            torch.tensor([[value for _, value in top] for top in score.top]), best, atol=1e-5
        )


def test_the_likeliest_tokens_own_value_is_exactly_the_best_alternatives() -> None:
    scorer, spans = SpanScorer(Decoder(trained.model())), _spans()
    before = scorer.score(spans, [1] * len(spans))
    greedy = [
        Span((*span.ids[: span.start], score.top[0][0][0]), span.start)
        for span, score in zip(spans, before, strict=True)
    ]
    for span, score in zip(greedy, scorer.score(greedy, [1] * len(spans)), strict=True):
        assert score.top[0] == [(span.ids[-1], score.logprobs[0])]
        assert math.isfinite(score.logprobs[0])


def test_a_rank_counts_what_is_likelier(monkeypatch: pytest.MonkeyPatch) -> None:
    # The same text comes thrice, and a few rows of logits are made at once.
    monkeypatch.setattr("parable.inference.span_scores.CHUNK_LOGITS", 3 * trained.VOCABULARY)
    model, spans = trained.model(), _spans()[:3] * 3
    scores = SpanScorer(Decoder(model)).score(spans, [0] * len(spans), ranks=True)
    for span, score in zip(spans, scores, strict=True):
        with torch.inference_mode():
            rows = model(input_ids=torch.tensor([span.ids[:-1]])).logits[0, span.start - 1 :]
        order = rows.argsort(-1, descending=True).tolist()
        targets = span.ids[span.start :]
        assert score.ranks == [1 + row.index(token) for row, token in zip(order, targets, strict=True)]


def test_chunks_of_logits_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, spans = SpanScorer(Decoder(trained.model())), _spans()
    whole = scorer.score(spans, [2] * len(spans))
    monkeypatch.setattr("parable.inference.span_scores.CHUNK_LOGITS", 3 * trained.VOCABULARY)
    for one, other in zip(whole, scorer.score(spans, [2] * len(spans)), strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-6)
        assert [[token for token, _ in top] for top in one.top] == [[t for t, _ in top] for top in other.top]


def test_several_passes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, spans = SpanScorer(Decoder(trained.model())), _spans()
    whole = scorer.score(spans, [2] * len(spans))
    monkeypatch.setattr(scorer, "_pass_nodes", 1)
    for one, other in zip(whole, scorer.score(spans, [2] * len(spans)), strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-6)
        assert [[token for token, _ in top] for top in one.top] == [[t for t, _ in top] for top in other.top]

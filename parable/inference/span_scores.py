"""Log-probabilities of texts by a `Decoder`, with alternatives: what an evaluation harness asks a server for.

What spans have in common is read once, no token is padding, and logits are made only where they are asked
for, a few at a time.

Shapes: N nodes read, P nodes at which something is predicted, V vocabulary, W width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from parable.inference.decoder import Decoder, attention
from parable.inference.scoring import CHUNK_LOGITS, ancestor_mask
from parable.inference.trie import Row, Span, lay_out

Alternatives = list[tuple[int, float]]
"""(token, log-probability), the likeliest first."""


@dataclass(frozen=True, slots=True)
class SpanScore:
    """For each scored token of a span its log-probability in nats, and the likeliest tokens in its place."""

    logprobs: list[float]
    top: list[Alternatives]


class SpanScorer:
    """Scores spans in one pass; how many fit is the caller's business."""

    def __init__(self, decoder: Decoder) -> None:
        """Score with a decoder."""
        self._decoder = decoder

    @torch.inference_mode()
    def score(self, spans: Sequence[Span], top: Sequence[int]) -> list[SpanScore]:
        """Scores in the order of the spans, with `top` alternatives for each token of a span."""
        rows = lay_out(spans, share=True)
        width = max(len(row.tokens) for row in rows)
        reading = _Reading(rows, self._decoder)
        nodes: list[int] = []
        targets: list[int] = []
        counts: list[int] = []
        order: list[int] = []
        for first, row in zip(reading.starts, rows, strict=True):
            for number, path in zip(row.spans, row.paths, strict=True):
                span = spans[number]
                nodes += [first + node for node in path[span.start - 1 :]]
                targets += span.ids[span.start :]
                counts += [top[number]] * (len(span.ids) - span.start)
                order.append(number)
        self._decoder.grow_angles(width)
        unique_P, place = torch.unique(torch.tensor(nodes), return_inverse=True)
        states_PW = self._decoder.states(
            reading.tokens, reading.positions, reading.attend, at_R=unique_P.to(self._decoder.device)
        )
        logprobs, alternatives = self._predict(states_PW, place, targets, max(counts))
        found: list[SpanScore | None] = [None] * len(spans)
        end = 0
        for number in order:
            start, end = end, end + len(spans[number].ids) - spans[number].start
            count = top[number]
            kept = [alternatives[node][:count] for node in place[start:end].tolist()] if count else []
            found[number] = SpanScore(logprobs[start:end], kept)
        return [score for score in found if score is not None]

    def _predict(
        self, states_PW: torch.Tensor, place: torch.Tensor, targets: list[int], top: int
    ) -> tuple[list[float], list[Alternatives]]:
        """The log-probability of each target at its place, and `top` alternatives of each state.

        Both come of one subtraction, so the likeliest token's own value equals the best alternative's.
        """
        device = self._decoder.device
        targets_T = torch.tensor(targets)
        found_T = torch.empty(len(targets))
        alternatives: list[Alternatives] = []
        order = torch.argsort(place, stable=True)
        sorted_place = place[order]
        step = max(1, CHUNK_LOGITS // self._decoder.vocabulary)
        for start in range(0, len(states_PW), step):
            logits_CV = self._decoder.logits(states_PW[start : start + step])
            total_C = torch.logsumexp(logits_CV, -1)
            first, last = torch.searchsorted(sorted_place, torch.tensor([start, start + step])).tolist()
            asked = order[first:last]
            row_T = (sorted_place[first:last] - start).to(device)
            found_T[asked] = (logits_CV[row_T, targets_T[asked].to(device)] - total_C[row_T]).cpu()
            if top:
                best_CK, ids_CK = logits_CV.topk(min(top, self._decoder.vocabulary), dim=-1)
                values = (best_CK - total_C[:, None]).tolist()
                alternatives += [
                    list(zip(ids, row, strict=True)) for ids, row in zip(ids_CK.tolist(), values, strict=True)
                ]
        return found_T.tolist(), alternatives


class _Reading:
    """Rows of a trie one after another, each seen by itself only."""

    def __init__(self, rows: Sequence[Row], decoder: Decoder) -> None:
        device = decoder.device
        self.tokens = torch.tensor([token for row in rows for token in row.tokens]).to(device)
        self.positions = torch.tensor([position for row in rows for position in row.positions]).to(device)
        self.starts: list[int] = []
        self._segments: list[tuple[int, int, torch.Tensor | None]] = []
        end = 0
        for row in rows:
            start, end = end, end + len(row.tokens)
            self.starts.append(start)
            mask = None if row.is_chain else ancestor_mask([row], len(row.tokens), decoder.dtype).to(device)
            self._segments.append((start, end, mask))

    def attend(
        self, layer: int, scale: float, q_NHD: torch.Tensor, k_NKD: torch.Tensor, v_NKD: torch.Tensor
    ) -> torch.Tensor:
        """Each node attends to its ancestors and itself; (N, H * D)."""
        del layer
        mixed = [
            attention(
                q_NHD[None, start:end],
                k_NKD[start:end].transpose(0, 1)[None],
                v_NKD[start:end].transpose(0, 1)[None],
                scale=scale,
                mask_BXTL=mask,
            )
            for start, end, mask in self._segments
        ]
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed)

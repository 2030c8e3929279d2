"""Log-probabilities of texts by a `Decoder`, with alternatives: what an evaluation harness asks a server for.

What spans have in common is read once, rows of like length are read together, and logits are made only where
they are asked for, a few at a time.

Shapes: N nodes read, P nodes at which something is predicted, V vocabulary, W width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from parable.inference.decoder import Decoder, attention
from parable.inference.scoring import CHUNK_LOGITS, ancestor_mask, batches
from parable.inference.trie import Row, Span, lay_out

PASS_NUMBERS = 3 * 2**19
"""Of what the widest operator makes, 6 MiB in fp32: more leaves the cache before the next one reads it."""
Alternatives = list[tuple[int, float]]
"""(token, log-probability), the likeliest first."""


@dataclass(frozen=True, slots=True)
class SpanScore:
    """For each scored token of a span its log-probability in nats, and the likeliest tokens in its place.

    Its rank, too, where that was asked for: 1 is the likeliest, and equals have the same.
    """

    logprobs: list[float]
    top: list[Alternatives]
    ranks: list[int] = field(default_factory=list)


class SpanScorer:
    """Scores spans; how many fit into memory is the caller's business."""

    def __init__(self, decoder: Decoder) -> None:
        """Score with a decoder."""
        self._decoder = decoder
        self._pass_nodes = PASS_NUMBERS // max(len(block.up.weight) for block in decoder.weights.blocks)

    @torch.inference_mode()
    def score(self, spans: Sequence[Span], top: Sequence[int], *, ranks: bool = False) -> list[SpanScore]:
        """Scores in the order of the spans, with `top` alternatives for each token of a span."""
        found: dict[int, SpanScore] = {}
        for rows in batches(lay_out(spans, share=True), self._pass_nodes):
            found |= self._score_rows(rows, spans, top, ranks=ranks)
        return [found[number] for number in range(len(spans))]

    def _score_rows(
        self, rows: Sequence[Row], spans: Sequence[Span], top: Sequence[int], *, ranks: bool
    ) -> dict[int, SpanScore]:
        """Scores by the number of their span, in one pass."""
        reading = _Reading(rows, self._decoder)
        nodes: list[int] = []
        targets: list[int] = []
        order: list[int] = []
        for index, row in enumerate(rows):
            first = index * reading.width
            for number, path in zip(row.spans, row.paths, strict=True):
                span = spans[number]
                nodes += [first + node for node in path[span.start - 1 :]]
                targets += span.ids[span.start :]
                order.append(number)
        unique_P, place = torch.unique(torch.tensor(nodes), return_inverse=True)
        states_PW = self._decoder.states(
            reading.tokens, reading.positions, reading.attend, at_R=unique_P.to(self._decoder.device)
        )
        most = max(top[number] for number in order)
        logprobs, alternatives, ranked = self._predict(states_PW, place, targets, most, ranks=ranks)
        found = {}
        end = 0
        for number in order:
            start, end = end, end + len(spans[number].ids) - spans[number].start
            count = top[number]
            kept = [alternatives[node][:count] for node in place[start:end].tolist()] if count else []
            found[number] = SpanScore(logprobs[start:end], kept, ranked[start:end])
        return found

    def _predict(
        self, states_PW: torch.Tensor, place: torch.Tensor, targets: list[int], top: int, *, ranks: bool
    ) -> tuple[list[float], list[Alternatives], list[int]]:
        """The log-probability of each target at its place, `top` alternatives of each state, and ranks.

        Both come of one subtraction, so the likeliest token's own value equals the best alternative's.
        """
        device = self._decoder.device
        targets_T = torch.tensor(targets)
        found_T = torch.empty(len(targets))
        ranks_T = torch.zeros(len(targets) if ranks else 0, dtype=torch.int64)
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
            if ranks:
                ranks_T[asked] = _ranks(logits_CV, row_T, targets_T[asked].to(device)).cpu()
            if top:
                best_CK, ids_CK = logits_CV.topk(min(top, self._decoder.vocabulary), dim=-1)
                values = (best_CK - total_C[:, None]).tolist()
                alternatives += [
                    list(zip(ids, row, strict=True)) for ids, row in zip(ids_CK.tolist(), values, strict=True)
                ]
        return found_T.tolist(), alternatives, ranks_T.tolist()


def _ranks(logits_CV: torch.Tensor, row_T: torch.Tensor, target_T: torch.Tensor) -> torch.Tensor:
    """One more than the tokens of a row that are likelier than its target.

    A text that comes many times in a request has the same targets in the same rows: each is counted once.
    """
    vocabulary = logits_CV.shape[1]
    pairs_U, place_T = torch.unique(row_T * vocabulary + target_T, return_inverse=True)
    found = []
    for pairs in pairs_U.split(len(logits_CV)):
        own_V1 = logits_CV[pairs // vocabulary, pairs % vocabulary][:, None]
        found.append((logits_CV[pairs // vocabulary] > own_V1).sum(-1) + 1)
    return torch.cat(found)[place_T]


class _Reading:
    """Rows of a trie as one batch, each seen by itself only; shorter ones are padded at their end."""

    def __init__(self, rows: Sequence[Row], decoder: Decoder) -> None:
        self.width = max(len(row.tokens) for row in rows)
        decoder.grow_angles(self.width)
        self.tokens = self._padded([row.tokens for row in rows]).to(decoder.device)
        self.positions = self._padded([row.positions for row in rows]).to(decoder.device)
        self._num_rows = len(rows)
        self._mask = None
        if not all(row.is_chain for row in rows):
            self._mask = ancestor_mask(rows, self.width, decoder.dtype).to(decoder.device)

    def attend(
        self, layer: int, scale: float, q_NHD: torch.Tensor, k_NKD: torch.Tensor, v_NKD: torch.Tensor
    ) -> torch.Tensor:
        """Each node attends to its ancestors and itself; (N, H * D)."""
        del layer
        shape = (self._num_rows, self.width)
        return attention(
            q_NHD.view(*shape, *q_NHD.shape[1:]),
            k_NKD.view(*shape, *k_NKD.shape[1:]).transpose(1, 2),
            v_NKD.view(*shape, *v_NKD.shape[1:]).transpose(1, 2),
            scale=scale,
            mask_BXTL=self._mask,
        )

    def _padded(self, lists: Sequence[list[int]]) -> torch.Tensor:
        return torch.tensor([number for row in lists for number in row + [0] * (self.width - len(row))])

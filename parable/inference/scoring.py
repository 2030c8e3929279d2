"""Log-probabilities of tokens, in nats: exact, batched, and bounded in memory.

Shapes: B rows of a batch, L nodes of a row, D the model's width, V the vocabulary, N nodes at which
something is predicted.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from parable.errors import UserError
from parable.inference.trie import Row, Span, lay_out

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BATCH_NODES = 8192
PADDING_NODES, PADDING_SHARE = 128, 0.1
"""Of a batch, the most that is padding, whichever is more: another batch costs more than a little of it."""
CHUNK_LOGITS = 2**22
"""Logits held at once: 16 MiB in fp32."""
_PROBE_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
_HALF_PRECISION_TOLERANCE = 5e-2


class Scorer:
    """Scores spans with one model.

    What spans have in common is computed once, and logits are made only where they are asked for. Both
    take something for granted: that the model obeys a mask and positions given from outside, and that its
    logits are its last hidden states times a matrix. Each is tried out on a few tokens when the scorer is
    built, and done without where the model is another kind (a state space, linear biases).
    """

    def __init__(self, model: "PreTrainedModel", *, batch_nodes: int = BATCH_NODES) -> None:
        """Take a model in evaluation mode that reads `batch_nodes` tokens at once, padding included."""
        self._model = model
        self._batch_nodes = batch_nodes
        self._scale = float(getattr(model.config, "logits_scaling", 1.0))
        self._splits_head = self._tries_head()
        self._shares = self._tries_sharing()

    @torch.inference_mode()
    def score(self, spans: Sequence[Span]) -> list[list[float]]:
        """The log-probability of each scored token of each span: `len(ids) - start` values.

        Raises:
            UserError: a span is longer than the model's context.
        """
        limit = getattr(self._model.config, "max_position_embeddings", None)
        longest = max((len(span.ids) - 1 for span in spans), default=0)
        if limit is not None and longest > limit:
            raise UserError(
                f"A text has {longest:,} tokens; the model reads {limit:,} at the most. Shorten it."
            )
        return self._score(spans, share=self._shares)

    def _score(self, spans: Sequence[Span], *, share: bool) -> list[list[float]]:
        scores: list[list[float]] = [[] for _ in spans]
        for rows in batches(lay_out(spans, share=share), self._batch_nodes):
            for number, values in self._score_rows(rows, spans):
                scores[number] = values
        return scores

    def _score_rows(self, rows: Sequence[Row], spans: Sequence[Span]) -> Iterator[tuple[int, list[float]]]:
        width = max(len(row.tokens) for row in rows)
        nodes: list[int] = []
        targets: list[int] = []
        owners: list[tuple[int, int]] = []
        for index, row in enumerate(rows):
            for number, path in zip(row.spans, row.paths, strict=True):
                span = spans[number]
                nodes += [index * width + node for node in path[span.start - 1 :]]
                targets += span.ids[span.start :]
                owners.append((number, len(span.ids) - span.start))
        values = self._log_probabilities(rows, torch.tensor(nodes), torch.tensor(targets)).tolist()
        end = 0
        for number, count in owners:
            yield number, values[end : (end := end + count)]

    def _log_probabilities(
        self, rows: Sequence[Row], nodes: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Log-probabilities of `targets` at `nodes`, which count through the padded rows."""
        device = self._model.device
        states_BLX = self._read(rows)
        unique_N, place = torch.unique(nodes, return_inverse=True)
        states_NX = states_BLX.flatten(0, 1)[unique_N.to(device)]
        order = torch.argsort(place, stable=True)
        place, found = place[order], torch.empty(len(targets))
        step = max(1, CHUNK_LOGITS // int(self._model.config.vocab_size))
        for start in range(0, len(unique_N), step):
            logits_NV = self._logits(states_NX[start : start + step]).float()
            total_N = torch.logsumexp(logits_NV, -1)
            first, last = torch.searchsorted(place, torch.tensor([start, start + step])).tolist()
            asked, row_N = order[first:last], (place[first:last] - start).to(device)
            found[asked] = (logits_NV[row_N, targets[asked].to(device)] - total_N[row_N]).cpu()
        return found

    def _read(self, rows: Sequence[Row]) -> torch.Tensor:
        """Last hidden states of padded rows, or their logits where the head can't be taken apart."""
        width = max(len(row.tokens) for row in rows)
        tokens_BL = torch.tensor([row.tokens + [0] * (width - len(row.tokens)) for row in rows])
        given = {"input_ids": tokens_BL.to(self._model.device), "use_cache": False}
        if not all(row.is_chain for row in rows):
            positions_BL = torch.tensor([row.positions + [0] * (width - len(row.tokens)) for row in rows])
            given |= {
                "position_ids": positions_BL.to(self._model.device),
                "attention_mask": ancestor_mask(rows, width, self._model.dtype).to(self._model.device),
            }
        if self._splits_head:
            states: torch.Tensor = self._model.base_model(**given).last_hidden_state
            return states
        logits: torch.Tensor = self._model(**given).logits
        return logits

    def _logits(self, states: torch.Tensor) -> torch.Tensor:
        if not self._splits_head:
            return states
        return self._head(states)

    def _head(self, states: torch.Tensor) -> torch.Tensor:
        matrix = self._model.get_output_embeddings()  # type: ignore[no-untyped-call]
        logits: torch.Tensor = matrix(states) / self._scale
        return logits

    @torch.inference_mode()
    def _tries_head(self) -> bool:
        if self._model.base_model is self._model:
            return False
        tokens_BL = self._probe_tokens(6)[None].to(self._model.device)
        whole = self._model(input_ids=tokens_BL, use_cache=False).logits
        states = self._model.base_model(input_ids=tokens_BL, use_cache=False).last_hidden_state
        return _close(self._head(states), whole, whole.dtype)

    @torch.inference_mode()
    def _tries_sharing(self) -> bool:
        kinds = getattr(self._model.config, "layer_types", None) or ()
        if any(kind != "full_attention" for kind in kinds) or not _takes_positions(self._model):
            return False
        ids = self._probe_tokens(8).tolist()
        spans = [Span((*ids[:5], *ids[5:]), 1), Span((*ids[:5], ids[7], ids[5], ids[6]), 1)]
        alone, together = (self._score(spans, share=share) for share in (False, True))
        return _close(torch.tensor(together), torch.tensor(alone), self._model.dtype)

    def _probe_tokens(self, count: int) -> torch.Tensor:
        return torch.arange(1, count + 1) % int(self._model.config.vocab_size)


def batches(rows: Sequence[Row], batch_nodes: int) -> Iterator[list[Row]]:
    """Rows of like length together, chains apart from tries, so that little is padded or masked.

    A batch has `batch_nodes` nodes at the most, padding included, unless a single row has more.
    """
    batch: list[Row] = []
    num_nodes = 0
    for row in sorted(rows, key=lambda row: (row.is_chain, len(row.tokens))):
        padded = (len(batch) + 1) * len(row.tokens)
        num_nodes += len(row.tokens)
        wasteful = padded - num_nodes > max(PADDING_NODES, PADDING_SHARE * padded)
        if batch and (padded > batch_nodes or wasteful or batch[-1].is_chain != row.is_chain):
            yield batch
            batch, num_nodes = [], len(row.tokens)
        batch.append(row)
    if batch:
        yield batch


def ancestor_mask(rows: Sequence[Row], width: int, dtype: torch.dtype) -> torch.Tensor:
    """What is added to attention scores, (B, 1, L, L): 0 from a node to its ancestors and itself."""
    import numpy as np

    seen_BLL = np.zeros((len(rows), width, width), dtype=bool)
    seen_BLL[:, np.arange(width), np.arange(width)] = True
    triangle = np.tri(width, dtype=bool)
    for seen_LL, row in zip(seen_BLL, rows, strict=True):
        for path, shared in zip(row.paths, row.shared, strict=True):
            seen_LL[np.ix_(path[shared:], path)] = triangle[shared : len(path), : len(path)]
    mask_BLL = torch.zeros(seen_BLL.shape, dtype=dtype)
    return mask_BLL.masked_fill_(torch.from_numpy(~seen_BLL), torch.finfo(dtype).min)[:, None]


def _takes_positions(model: "PreTrainedModel") -> bool:
    import inspect

    return "position_ids" in inspect.signature(model.forward).parameters


def _close(first: torch.Tensor, second: torch.Tensor, dtype: torch.dtype) -> bool:
    tolerance = _PROBE_TOLERANCE.get(dtype, _HALF_PRECISION_TOLERANCE)
    return bool(torch.allclose(first.float(), second.float(), atol=tolerance, rtol=tolerance))

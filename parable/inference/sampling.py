"""Continuations drawn at random, each from a generator of its own.

Shapes: P prompts of a batch, B = P x draws rows that are still being drawn, L tokens of a prompt, T tokens of
prompt and continuation so far, V the vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from parable.errors import UserError
from parable.inference.choice import LEAST_TEMPERATURE, nucleus, pick, uniforms

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel

BATCH_NODES = 2**16
"""Tokens whose keys and values are held at once."""
KEPT_SHARE = 0.8
"""Rows that have ended are taken out when less than this share goes on: taking out copies the others."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids to go on from, and the key of the generators that draw what follows."""

    ids: tuple[int, ...]
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """How continuations are drawn.

    Attributes:
        draws: Continuations a prompt.
        max_tokens: Tokens a continuation at the most.
        stop: The token that ends a continuation, and is not part of it.
        temperature: Divides the logits.
        top_p: Share of the probability that is drawn from, the likeliest tokens first; 1 takes all.
        banned: Tokens that are never drawn.
    """

    draws: int
    max_tokens: int
    stop: int
    temperature: float = 1.0
    top_p: float = 1.0
    banned: tuple[int, ...] = ()


@torch.inference_mode()
def sample(
    model: "PreTrainedModel", prompts: Sequence[Prompt], drawing: Drawing, *, batch_nodes: int = BATCH_NODES
) -> list[list[tuple[int, ...]]]:
    """Draw `drawing.draws` continuations of every prompt.

    Draw number d of a prompt uses a generator keyed by (prompt.key, d) and one uniform number a token, so it
    does not depend on what else is in the batch, nor on how many draws there are.

    Raises:
        UserError: prompt and continuation would be longer than the model's context.
    """
    limit = getattr(model.config, "max_position_embeddings", None)
    longest = max((len(prompt.ids) for prompt in prompts), default=0) + drawing.max_tokens
    if limit is not None and longest > limit:
        raise UserError(
            f"A prompt and its {drawing.max_tokens:,} new tokens make {longest:,}; the model reads {limit:,} "
            "at the most. Lower max_tokens or shorten the prompt."
        )
    drawn: list[list[tuple[int, ...]]] = [[] for _ in prompts]
    if drawing.draws == 0:
        return drawn
    for batch in _batches(prompts, drawing, batch_nodes):
        for number, continuations in zip(
            batch, _draw(model, [prompts[n] for n in batch], drawing), strict=True
        ):
            drawn[number] = continuations
    return drawn


def _batches(prompts: Sequence[Prompt], drawing: Drawing, batch_nodes: int) -> Iterator[list[int]]:
    """Numbers of prompts of like length, so that little is padded."""
    batch: list[int] = []
    for number in sorted(range(len(prompts)), key=lambda n: (len(prompts[n].ids), n)):
        nodes = (len(batch) + 1) * drawing.draws * (len(prompts[number].ids) + drawing.max_tokens)
        if batch and nodes > batch_nodes:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _draw(
    model: "PreTrainedModel", prompts: Sequence[Prompt], drawing: Drawing
) -> list[list[tuple[int, ...]]]:
    """One batch: prompts are read once, then all rows go on together until they have ended."""
    rows = [(prompt.key, draw) for prompt in prompts for draw in range(drawing.draws)]
    uniform_BM = torch.stack([torch.from_numpy(uniforms(*row, drawing.max_tokens)) for row in rows])
    cache, logits_BV, seen_BT = _read_prompts(model, prompts, drawing.draws)
    tokens: list[list[int]] = [[] for _ in rows]
    row_B, going_B = torch.arange(len(rows)), torch.ones(len(rows), dtype=torch.bool)
    for step in range(drawing.max_tokens):
        chosen_B = choose(logits_BV.float().cpu(), uniform_BM[row_B, step], drawing)
        going_B &= chosen_B != drawing.stop
        for row, token in zip(row_B[going_B].tolist(), chosen_B[going_B].tolist(), strict=True):
            tokens[row].append(token)
        if step + 1 == drawing.max_tokens or not bool(going_B.any()):
            break
        if int(going_B.sum()) < KEPT_SHARE * len(going_B):
            kept = going_B.nonzero()[:, 0].to(model.device)
            cache.batch_select_indices(kept)
            row_B, chosen_B, seen_BT = row_B[going_B], chosen_B[going_B], seen_BT[kept]
            going_B = going_B[going_B]
        seen_BT = torch.cat([seen_BT, seen_BT.new_ones(len(seen_BT), 1)], 1)
        output = model(
            input_ids=chosen_B[:, None].to(model.device),
            attention_mask=seen_BT,
            position_ids=seen_BT.sum(1, keepdim=True) - 1,
            past_key_values=cache,
            use_cache=True,
        )
        logits_BV = output.logits[:, -1]
    draws = iter(map(tuple, tokens))
    return [[next(draws) for _ in range(drawing.draws)] for _ in prompts]


def _read_prompts(
    model: "PreTrainedModel", prompts: Sequence[Prompt], draws: int
) -> tuple["DynamicCache", torch.Tensor, torch.Tensor]:
    """Read prompts, padded on the left; the cache, next logits and mask, all repeated for every draw."""
    from transformers import DynamicCache

    width = max(len(prompt.ids) for prompt in prompts)
    tokens_PL = torch.tensor([[0] * (width - len(prompt.ids)) + list(prompt.ids) for prompt in prompts])
    seen_PL = torch.tensor([[0] * (width - len(prompt.ids)) + [1] * len(prompt.ids) for prompt in prompts])
    tokens_PL, seen_PL = tokens_PL.to(model.device), seen_PL.to(model.device)
    cache = DynamicCache(config=model.config)
    logits_PV = model(
        input_ids=tokens_PL,
        attention_mask=seen_PL,
        position_ids=(seen_PL.cumsum(1) - 1).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits[:, -1]
    cache.batch_repeat_interleave(draws)
    return cache, logits_PV.repeat_interleave(draws, 0), seen_PL.repeat_interleave(draws, 0)


def choose(logits_BV: torch.Tensor, uniform_B: torch.Tensor, drawing: Drawing) -> torch.Tensor:
    """The token of each row at which the cumulative probability passes the row's uniform number."""
    if drawing.banned:
        logits_BV = logits_BV.clone()
        logits_BV[:, list(drawing.banned)] = -torch.inf
    probabilities_BV = torch.softmax(logits_BV / max(drawing.temperature, LEAST_TEMPERATURE), -1)
    if drawing.top_p < 1.0:
        probabilities_BV = nucleus(probabilities_BV, drawing.top_p)
    return pick(probabilities_BV.double().cumsum(-1), uniform_B)

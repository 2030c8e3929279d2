"""Every running draw's next token, in a few operations for all of them.

Shapes: B draws, A of them whose log-probabilities are asked for, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from parable.inference.beam import ChosenToken
from parable.inference.choice import sample_rows
from services.model_server.engine.base import BestOf
from services.model_server.engine.generation import Draw, Generation


@dataclass(frozen=True, slots=True, eq=False)
class Chooser:
    """A draw, and the row of logits by which it chooses."""

    generation: Generation
    draw: Draw
    row: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What a draw chose; None where its logits hold values that are no numbers.

    The log-probability is that before temperature and bans, 0 where nobody asks.
    """

    token: ChosenToken | None
    tag_probability: float = 0.0


def choose(logits_RV: torch.Tensor, choosers: Sequence[Chooser]) -> list[Choice]:
    """One token for each chooser, in their order."""
    rows = [chooser.row for chooser in choosers]
    logits_BV = logits_RV if rows == list(range(len(logits_RV))) else logits_RV[rows]
    finite = torch.isfinite(logits_BV.sum(-1)).tolist()
    ids = _next_ids(logits_BV, choosers, finite)
    told = _told(logits_BV, choosers, ids)
    return [
        (told.get(number) or Choice(ChosenToken(token, 0.0))) if finite[number] else Choice(None)
        for number, token in enumerate(ids)
    ]


def _next_ids(logits_BV: torch.Tensor, choosers: Sequence[Chooser], finite: Sequence[bool]) -> list[int]:
    allowed_BV = _without_banned(logits_BV, choosers)
    drawn = [n for n, chooser in enumerate(choosers) if chooser.draw.uniform is not None and finite[n]]
    if len(drawn) < len(choosers):
        chosen_B = allowed_BV.argmax(-1)
        allowed_BV = allowed_BV[drawn]
    else:
        chosen_B = torch.empty(len(choosers), dtype=torch.int64, device=logits_BV.device)
    if drawn:
        settings = [choosers[n].generation.sampling for n in drawn]
        chosen_B[drawn] = sample_rows(
            allowed_BV,
            torch.stack([_uniform(choosers[n].draw) for n in drawn]).to(logits_BV.device),
            temperature=[sampling.temperature for sampling in settings],
            top_p=[sampling.top_p for sampling in settings],
            top_k=[sampling.top_k for sampling in settings],
        )
    return chosen_B.tolist()


def _uniform(draw: Draw) -> torch.Tensor:
    assert draw.uniform is not None
    return draw.uniform[draw.count]


def _without_banned(logits_BV: torch.Tensor, choosers: Sequence[Chooser]) -> torch.Tensor:
    banned = [(n, chooser.generation.banned) for n, chooser in enumerate(choosers)]
    banned = [(n, ids) for n, ids in banned if len(ids)]
    if not banned:
        return logits_BV
    rows = torch.cat([torch.full_like(ids, n) for n, ids in banned])
    columns = torch.cat([ids for _, ids in banned])
    allowed_BV = logits_BV.clone()
    allowed_BV[rows.to(logits_BV.device), columns.to(logits_BV.device)] = -torch.inf
    return allowed_BV


def _told(logits_BV: torch.Tensor, choosers: Sequence[Chooser], ids: Sequence[int]) -> dict[int, Choice]:
    """Choices of those who ask for log-probabilities, by number; all values come of one log-softmax."""
    asking = [n for n, chooser in enumerate(choosers) if chooser.generation.wants_logprobs]
    if not asking:
        return {}
    logprobs_AV = torch.log_softmax(logits_BV if len(asking) == len(choosers) else logits_BV[asking], -1)
    chosen_A1 = torch.tensor([ids[n] for n in asking], device=logits_BV.device)[:, None]
    values = logprobs_AV.gather(-1, chosen_A1)[:, 0].tolist()
    counts = [choosers[n].generation.sampling.top_logprobs or 0 for n in asking]
    best_AK, best_ids_AK = logprobs_AV.topk(min(max(counts), logprobs_AV.shape[1]), dim=-1)
    best, best_ids = best_AK.tolist(), best_ids_AK.tolist()
    told = {}
    for place, n in enumerate(asking):
        top = tuple(zip(best_ids[place][: counts[place]], best[place][: counts[place]], strict=True))
        strategy, tag_probability = choosers[n].generation.strategy, 0.0
        if isinstance(strategy, BestOf) and strategy.by == "tag":
            tag_probability = float(logprobs_AV[place, list(strategy.tags)].exp().sum())
        told[n] = Choice(ChosenToken(ids[n], values[place], top), tag_probability)
    return told

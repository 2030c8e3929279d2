"""The next token of many rows at once, each by rules of its own and by random numbers of its own.

Shapes: B rows, V vocabulary.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from parable.canonical import canonical_json, digest

if TYPE_CHECKING:
    import numpy as np


LEAST_TEMPERATURE = 1e-6
"""Lower ones draw as this one does, which is the likeliest token: logits divided by less may be infinite."""


def uniforms(key: str, draw: int, count: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """`count` numbers in [0, 1) for draw number `draw` of what `key` names; more begin like fewer."""
    import numpy as np

    number = int(digest(canonical_json(["sample", key, draw]))[:32], 16)
    return np.random.Generator(np.random.Philox(number)).random(count)


def pick(cumulative_BV: torch.Tensor, uniform_B: torch.Tensor) -> torch.Tensor:
    """The token of each row at which the cumulative weight (float64) passes the row's share of the whole."""
    threshold_B1 = uniform_B[:, None] * cumulative_BV[:, -1:]
    chosen_B = torch.searchsorted(cumulative_BV, threshold_B1, right=True)[:, 0]
    return chosen_B.clamp(max=cumulative_BV.shape[1] - 1)


def nucleus(probabilities_BV: torch.Tensor, top_p: float | torch.Tensor) -> torch.Tensor:
    """Zero for all but the fewest of the likeliest tokens, one at least, that hold `top_p`.

    Holtzman et al. 2020.
    """
    sorted_BV, order_BV = probabilities_BV.sort(stable=True, dim=-1, descending=True)
    outside_BV = sorted_BV.cumsum(-1) - sorted_BV >= top_p
    outside_BV[:, 0] = False  # The least shares are 0 in fp32.
    return torch.zeros_like(sorted_BV).scatter(-1, order_BV, sorted_BV.masked_fill(outside_BV, 0.0))


def keep_top_k(logits_BV: torch.Tensor, top_k: Sequence[int | None]) -> torch.Tensor:
    """Minus infinity for all but the `top_k` likeliest tokens of each row; None keeps a row as it is."""
    vocabulary = logits_BV.shape[1]
    counts = [min(k or vocabulary, vocabulary) for k in top_k]
    limited = [count for count in counts if count < vocabulary]
    if not limited:
        return logits_BV
    best_BK, best_index_BK = logits_BV.topk(max(limited), dim=-1)
    counts_B1 = torch.tensor(counts, device=logits_BV.device)[:, None]
    outside_BK = torch.arange(best_BK.shape[1], device=logits_BV.device) >= counts_B1
    kept_BV = torch.full_like(logits_BV, -torch.inf).scatter(
        -1, best_index_BK, best_BK.masked_fill(outside_BK, -torch.inf)
    )
    return torch.where(counts_B1 < vocabulary, kept_BV, logits_BV)


def sample_rows(
    logits_BV: torch.Tensor,
    uniform_B: torch.Tensor,
    *,
    temperature: Sequence[float],
    top_p: Sequence[float],
    top_k: Sequence[int | None],
) -> torch.Tensor:
    """One token a row, drawn at the row's own temperature (> 0) from its own top_k and top_p."""
    temperature_B1 = torch.tensor(temperature, device=logits_BV.device)[:, None].clamp(LEAST_TEMPERATURE)
    logits_BV = keep_top_k(logits_BV, top_k) / temperature_B1
    probabilities_BV = torch.softmax(logits_BV, -1)
    narrow = [number for number, share in enumerate(top_p) if share < 1.0]
    if narrow:
        share_N1 = torch.tensor([top_p[number] for number in narrow], device=logits_BV.device)[:, None]
        probabilities_BV[narrow] = nucleus(probabilities_BV[narrow], share_N1)
    return pick(probabilities_BV.double().cumsum(-1), uniform_B)

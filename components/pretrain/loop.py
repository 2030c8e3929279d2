"""One segment on one worker: rows in, changed weights out. Knows nothing of Ray, stores or recipes.

Shapes: B rows a step, N rows of several steps fetched at once, L tokens a row, V vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from components.pretrain.optimizer import WeightOptimizer
from components.pretrain.schedule import rate_fraction
from parable.canonical import canonical_json
from parable.errors import UserError
from parable.recipe import Phase
from parable.recipe.schema import Optimizer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel

LOG_EVERY_STEPS = 10
MASK_ELEMENTS_AT_ONCE = 1 << 22
"""Steps are fetched together until their masks have so many elements."""
MAX_STEPS_AT_ONCE = 64


class RowBatch(Protocol):
    """Rows as arrays, each (N, L); see `components.mix.Batch`."""

    @property
    def tokens(self) -> "npt.NDArray[np.int64]": ...  # noqa: D102
    @property
    def targets(self) -> "npt.NDArray[np.int64]": ...  # noqa: D102
    @property
    def documents(self) -> "npt.NDArray[np.int32]": ...  # noqa: D102
    @property
    def positions(self) -> "npt.NDArray[np.int64]": ...  # noqa: D102
    @property
    def weights(self) -> "npt.NDArray[np.float32]": ...  # noqa: D102


class RowSource(Protocol):
    """Where rows come from, by their global numbers."""

    def batch(self, rows: Sequence[int]) -> RowBatch:
        """The rows of these numbers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a segment reads, and how it learns from it."""

    first_row: int
    num_rows: int
    batch_rows: int
    row_length: int
    phase: Phase
    optimizer: Optimizer

    @property
    def num_steps(self) -> int:
        """Updates; the last one has fewer rows where they do not come out even."""
        return -(-self.num_rows // self.batch_rows)

    def rows(self, first_step: int, last_step: int) -> range:
        """Global numbers of the rows of these steps."""
        end = min(last_step * self.batch_rows, self.num_rows)
        return range(self.first_row + first_step * self.batch_rows, self.first_row + end)


@dataclass(slots=True)
class Progress:
    """How far a segment is: with the weights and the optimizer's state, all that a restart needs."""

    first_step: int = 0
    """Steps of the segments before."""
    first_tokens: int = 0
    step: int = 0
    """Steps of this segment."""
    tokens: int = 0
    """Tokens that this segment read."""
    loss_sum: float = 0.0
    """Weighted loss since the last line of the log."""
    weight_sum: float = 0.0
    lines: list[str] = field(default_factory=list)
    """The log: JSON, a line every `LOG_EVERY_STEPS` steps and one at the end."""
    last_loss: float = math.nan
    """Of the last line."""


class Learner:
    """A model on its device, with the optimizer of its weights."""

    def __init__(
        self, model: "PreTrainedModel", course: Course, *, device: str, dtype: "torch.dtype"
    ) -> None:
        """Move a model to its device and number type."""
        import torch

        torch.nn.Module.to(model, torch.device(device))
        self.model = model.train()
        self.device = device
        self.dtype = dtype
        self.optimizer = WeightOptimizer(self.model, course.optimizer, dtype)
        # As the model's own forward has it, less a division of every logit by 1.
        self._logits_scaling: float = getattr(model.config, "logits_scaling", 1.0)

    def logits(self, tokens_BL: "Tensor", mask_B1LL: "Tensor", positions_BL: "Tensor") -> "Tensor":
        """Logits (B, L, V) in the model's number type."""
        hidden_BLD = self.model.model(
            input_ids=tokens_BL, attention_mask=mask_B1LL, position_ids=positions_BL, use_cache=False
        ).last_hidden_state
        logits_BLV: Tensor = self.model.lm_head(hidden_BLD)
        return logits_BLV if self._logits_scaling == 1.0 else logits_BLV / self._logits_scaling

    def loss(self, step: "StepTensors") -> "Tensor":
        """The mean loss of a step in nats, each token with its weight; a scalar."""
        import torch

        logits_BLV = self.logits(step.tokens_BL, step.mask_B1LL, step.positions_BL)
        losses = torch.nn.functional.cross_entropy(
            logits_BLV.flatten(0, 1).float(), step.targets_BL.flatten(), reduction="none"
        )
        return torch.dot(losses, step.weights_BL.flatten()) / step.weight


@dataclass(frozen=True, slots=True)
class StepTensors:
    """The rows of one step on the device."""

    tokens_BL: "Tensor"
    targets_BL: "Tensor"
    positions_BL: "Tensor"
    weights_BL: "Tensor"
    mask_B1LL: "Tensor"
    """True where a position may attend."""
    weight: float
    """The sum of the weights, over all workers; the loss is normalised by it."""


def run(
    learner: Learner, source: RowSource, course: Course, progress: Progress, after_step: Callable[[], None]
) -> None:
    """Train from where `progress` is to the end of the course, changing both.

    `after_step` is called after every update.

    Raises:
        UserError: a loss or a gradient is not finite; the weights are those of the step before.
    """
    for step in fetch(source, course, progress.step, learner.device):
        fraction = rate_fraction(course.phase, progress.step, course.num_steps)
        rate = course.optimizer.learning_rate * fraction
        loss = learner.loss(step)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = learner.optimizer.gradient_norm()
        value, norm_value = loss.item(), norm.item()
        if not (math.isfinite(value) and math.isfinite(norm_value)):
            raise _diverged(course, progress, value, norm_value)
        learner.optimizer.step(rate, norm)
        _record(
            progress, step, value, is_last=progress.step + 1 == course.num_steps, rate=rate, norm=norm_value
        )
        after_step()


def fetch(source: RowSource, course: Course, first_step: int, device: str) -> Iterator[StepTensors]:
    """The steps of a course from one on, several fetched at a time."""
    per_step = course.batch_rows * course.row_length**2
    at_once = max(1, min(MAX_STEPS_AT_ONCE, MASK_ELEMENTS_AT_ONCE // per_step))
    for begin in range(first_step, course.num_steps, at_once):
        end = min(begin + at_once, course.num_steps)
        batch = source.batch(course.rows(begin, end))
        yield from _split(batch, course.batch_rows, device)


def attention_mask(documents_NL: "Tensor") -> "Tensor":
    """Where a position may attend, (N, 1, L, L): backwards, inside its own document."""
    import torch

    length = documents_NL.shape[1]
    causal_LL = torch.ones(length, length, dtype=torch.bool, device=documents_NL.device).tril_()
    same_NLL = documents_NL[:, :, None] == documents_NL[:, None, :]
    return (same_NLL & causal_LL)[:, None]


def _split(batch: RowBatch, batch_rows: int, device: str) -> Iterator[StepTensors]:
    import torch

    tokens_NL, targets_NL, positions_NL, weights_NL, documents_NL = (
        torch.from_numpy(array).to(device)
        for array in (batch.tokens, batch.targets, batch.positions, batch.weights, batch.documents)
    )
    mask_N1LL = attention_mask(documents_NL)
    for begin in range(0, len(tokens_NL), batch_rows):
        here = slice(begin, begin + batch_rows)
        # In double precision on the host: one number, whatever the order of the rows.
        weight = float(batch.weights[here].sum(dtype="float64"))
        yield StepTensors(
            tokens_NL[here],
            targets_NL[here],
            positions_NL[here],
            weights_NL[here],
            mask_N1LL[here],
            # A step in which nothing counts has the loss 0, not 0/0.
            weight if weight > 0.0 else 1.0,
        )


def _record(
    progress: Progress, step: StepTensors, loss: float, *, is_last: bool, rate: float, norm: float
) -> None:
    progress.step += 1
    progress.tokens += step.tokens_BL.numel()
    progress.loss_sum += loss * step.weight
    progress.weight_sum += step.weight
    if progress.step % LOG_EVERY_STEPS == 0 or is_last:
        progress.last_loss = progress.loss_sum / progress.weight_sum
        line = {
            "step": progress.first_step + progress.step,
            "tokens": progress.first_tokens + progress.tokens,
            "loss": progress.last_loss,
            "learning_rate": rate,
            "grad_norm": norm,
        }
        progress.lines.append(canonical_json(line).decode())
        progress.loss_sum = progress.weight_sum = 0.0


def _diverged(course: Course, progress: Progress, loss: float, norm: float) -> UserError:
    phase, optimizer = course.phase, course.optimizer
    return UserError(
        f"Training stopped at step {progress.step + 1} of {course.num_steps} of phase {phase.name}: the loss "
        f"is {loss:g} and the norm of its gradient {norm:g}. Lower training.optimizer.learning_rate (now "
        f"{optimizer.learning_rate:g}), lengthen the phase's warmup_steps (now {phase.warmup_steps}), or "
        f"lower training.optimizer.clip_norm (now {optimizer.clip_norm})."
    )

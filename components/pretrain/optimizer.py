"""AdamW over fp32 weights, with its state kept by the name of a parameter.

Where the model computes in bf16, the weights that change are fp32 copies: no autocast, no lost updates.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from parable.recipe.schema import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel

STATE = ("exp_avg", "exp_avg_sq", "step")


class WeightOptimizer:
    """The fp32 weights of a model and the optimizer that changes them."""

    def __init__(self, model: "PreTrainedModel", settings: Optimizer, dtype: "torch.dtype") -> None:
        """Take the weights of an fp32 model on its device; the model is left in `dtype`."""
        import torch

        self._model = dict(model.named_parameters())
        self._clip_norm = settings.clip_norm
        self._copies = dtype != torch.float32
        self.weights: dict[str, torch.nn.Parameter] = self._model
        """The fp32 weights by name."""
        if self._copies:
            self.weights = {
                name: torch.nn.Parameter(one.detach().clone()) for name, one in self._model.items()
            }
            for parameter in self._model.values():
                parameter.data = parameter.data.to(dtype)
        matrices = [one for one in self.weights.values() if one.dim() > 1]
        gains = [one for one in self.weights.values() if one.dim() == 1]
        # A norm's gain has no reason to shrink.
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": gains, "weight_decay": 0.0}]
        self._adamw = torch.optim.AdamW(
            groups,
            lr=settings.learning_rate,
            betas=settings.betas,
            eps=settings.epsilon,
            weight_decay=settings.weight_decay,
            fused=True,
        )

    def gradient_norm(self) -> "Tensor":
        """The norm of the whole gradient, a scalar."""
        import torch

        if self._copies:
            for name, weight in self.weights.items():
                gradient = self._model[name].grad
                weight.grad = None if gradient is None else gradient.float()
        gradients = [one.grad for one in self.weights.values() if one.grad is not None]
        return torch.nn.utils.get_total_norm(gradients)

    def step(self, learning_rate: float, norm: "Tensor") -> None:
        """Clip by the norm that `gradient_norm` gave, update the weights, and forget the gradient."""
        import torch

        if self._clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self.weights.values(), self._clip_norm, norm)
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate
        self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)
        if self._copies:
            self._publish()
            for parameter in self._model.values():
                parameter.grad = None

    def state(self) -> "dict[str, Tensor]":
        """Both moments and the count of updates, as `exp_avg.<name>`, `exp_avg_sq.<name>`, `step.<name>`."""
        return {
            f"{part}.{name}": self._adamw.state[weight][part].detach()
            for name, weight in self.weights.items()
            if weight in self._adamw.state
            for part in STATE
        }

    def load(self, weights: "Mapping[str, Tensor]", state: "Mapping[str, Tensor]") -> None:
        """Go on from the weights and the state of another segment or an earlier step."""
        import torch

        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(weights[name])
                if f"step.{name}" in state:
                    self._adamw.state[weight] = {
                        part: state[f"{part}.{name}"].to(weight.device, copy=True) for part in STATE
                    }
        if self._copies:
            self._publish()

    def _publish(self) -> None:
        import torch

        with torch.no_grad():
            for name, parameter in self._model.items():
                parameter.copy_(self.weights[name])

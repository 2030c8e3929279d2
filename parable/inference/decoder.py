"""A causal language model that reads the tokens of many sequences as one flat list.

No token is padding: prompts, single new tokens and texts to be scored share one pass, and only attention
(which is given from outside) knows which token belongs to what. At the sizes of small models most of a
step is overhead of operators, so projections of one input are joined and nothing is made that isn't read.

Shapes: N tokens, R of them at which something is predicted, W width, H heads, K key-value heads, D size of
a head, E pairs of features that are turned, V vocabulary.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from parable.errors import UserError
from parable.inference.architectures import Block, Weights, read_weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Attend = Callable[[int, float, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(layer, scale, q_NHD, k_NKD, v_NKD) -> (N, H * D)."""
PROBE_LENGTH = 12
PROBE_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
HALF_PRECISION_TOLERANCE = 0.1
FIRST_ROTARY_TABLE = 2048


class Decoder:
    """A model's forward pass over flat tokens; equal to the model that it was made of, and faster."""

    def __init__(self, model: "PreTrainedModel") -> None:
        """Take over a model in evaluation mode; afterwards its own modules may be forgotten.

        A few tokens are read both ways, so a model that has a trait nobody thought of is refused here, and
        never answers wrongly.

        Raises:
            UserError: the architecture is not supported.
        """
        self.config = model.config
        self.architecture = type(model).__name__
        self.num_parameters = sum(p.numel() for p in model.parameters())
        self.dtype, self.device = model.dtype, model.device
        self.vocabulary = int(model.config.vocab_size)
        limit = getattr(model.config, "max_position_embeddings", None)
        assert limit is not None
        self.max_length = int(limit)
        self.weights: Weights = read_weights(model)
        self._turns_PE = self._turns(min(FIRST_ROTARY_TABLE, self.max_length))
        self._check(model)

    @property
    def num_bytes(self) -> int:
        """Memory that the weights take."""
        return self.num_parameters * self.dtype.itemsize

    def states(
        self,
        tokens_N: torch.Tensor,
        positions_N: torch.Tensor,
        attend: Attend,
        *,
        at_R: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Last hidden states, (R, W), normalised: of the tokens numbered `at_R`, or of all."""
        weights = self.weights
        x_NW = functional.embedding(tokens_N, weights.embedding)
        if weights.embedding_scale != 1.0:
            x_NW = x_NW * weights.embedding_scale
        if weights.positions is not None:
            x_NW = x_NW + functional.embedding(positions_N, weights.positions)
            turns = None
        else:
            turns = self._turns_PE[positions_N][:, None]
        last = len(weights.blocks) - 1
        for number, block in enumerate(weights.blocks):
            read_NW = block.attention_norm(x_NW)
            mixed = attend(number, block.scale, *self._project(block, read_NW, turns))
            if number == last and at_R is not None:
                x_NW, mixed, read_NW = x_NW[at_R], mixed[at_R], read_NW[at_R]
            x_NW = self._finish(block, x_NW, mixed)
        return weights.norm(x_NW)

    def logits(self, states_RW: torch.Tensor) -> torch.Tensor:
        """Logits (R, V) of last hidden states, in fp32."""
        logits_RV = self.weights.head(states_RW).float()
        return logits_RV if self.weights.logits_scale == 1.0 else logits_RV / self.weights.logits_scale

    def _project(
        self, block: Block, read_NW: torch.Tensor, turns_N1E: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        heads, kv_heads, size = self.weights.num_heads, self.weights.num_kv_heads, self.weights.head_dim
        qkv_NXD = block.qkv(read_NW).view(-1, heads + 2 * kv_heads, size)
        qk_NXD = qkv_NXD[:, : heads + kv_heads]
        if block.query_norm is not None and block.key_norm is not None:
            qk_NXD = torch.cat([block.query_norm(qk_NXD[:, :heads]), block.key_norm(qk_NXD[:, heads:])], 1)
        if turns_N1E is not None:
            turn_(qk_NXD, turns_N1E)
        return qk_NXD[:, :heads], qk_NXD[:, heads:], qkv_NXD[:, heads + kv_heads :]

    def _finish(self, block: Block, x_NW: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
        scale = self.weights.residual_scale
        after_NW = torch.add(x_NW, block.out(mixed), alpha=scale)
        up = block.up(block.mlp_norm(x_NW if self.weights.parallel else after_NW))
        if self.weights.gated:
            gate, value = up.chunk(2, -1)
            up = block.activation(gate).mul_(value)
        else:
            up = block.activation(up)
        return torch.add(after_NW, block.down(up), alpha=scale)

    def grow_angles(self, length: int) -> None:
        """Make sure that positions below `length` can be read."""
        if self.weights.rotary is not None and length > len(self._turns_PE):
            self._turns_PE = self._turns(min(self.max_length, max(length, 2 * len(self._turns_PE))))

    def _turns(self, length: int) -> torch.Tensor:
        """By what pairs of features are turned at each position: complex, (length, rotary_dim / 2)."""
        if self.weights.rotary is None:
            return torch.empty(0, 0)
        like = torch.empty(0, dtype=torch.promote_types(self.dtype, torch.float32), device=self.device)
        cos, sin = self.weights.rotary(like, torch.arange(length, device=self.device)[None])
        half = cos.shape[-1] // 2
        return torch.complex(cos[0, :, :half], sin[0, :, :half])

    @torch.inference_mode()
    def _check(self, model: "PreTrainedModel") -> None:
        length = min(PROBE_LENGTH, self.max_length)
        tokens_N = (torch.arange(1, length + 1) * 7 % self.vocabulary).to(self.device)
        expected_NV = model(input_ids=tokens_N[None], use_cache=False).logits[0].float()
        positions_N = torch.arange(length, device=self.device)
        found_NV = self.logits(self.states(tokens_N, positions_N, attend_all))
        tolerance = PROBE_TOLERANCE.get(self.dtype, HALF_PRECISION_TOLERANCE)
        if not torch.allclose(found_NV, expected_NV, atol=tolerance, rtol=tolerance, equal_nan=True):
            raise UserError(
                f"This {self.architecture} answers otherwise here than in transformers: its config has a "
                "trait that this engine doesn't know. Serve it with another engine."
            )


def turn_(x_NXD: torch.Tensor, turns_N1E: torch.Tensor) -> None:
    """Rotary embedding in place, of the first 2E features in pairs that stand side by side."""
    num_pairs = turns_N1E.shape[-1]
    pairs_NXE2 = x_NXD[..., : 2 * num_pairs].unflatten(-1, (num_pairs, 2))  # type: ignore[no-untyped-call]
    if x_NXD.dtype.itemsize < 4:  # There are no complex numbers of this size.
        pairs_NXE2.copy_(torch.view_as_real(torch.view_as_complex(pairs_NXE2.float()) * turns_N1E))
    else:
        torch.view_as_complex(pairs_NXE2).mul_(turns_N1E)


def attend_all(
    layer: int, scale: float, q_NHD: torch.Tensor, k_NKD: torch.Tensor, v_NKD: torch.Tensor
) -> torch.Tensor:
    """All tokens are one text."""
    del layer
    return attention(q_NHD[None], k_NKD.transpose(0, 1)[None], v_NKD.transpose(0, 1)[None], scale=scale)


def attention(
    q_BTHD: torch.Tensor,
    k_BKLD: torch.Tensor,
    v_BKLD: torch.Tensor,
    *,
    scale: float,
    mask_BXTL: torch.Tensor | None = None,
    causal: bool = True,
) -> torch.Tensor:
    """Attention of T tokens of B texts to L keys, as (B * T, H * D).

    The mask is added to the scores (X is 1); without one, tokens see all keys, or those up to their own where
    `causal`.
    """
    batch, num, heads, size = q_BTHD.shape
    groups = heads // k_BKLD.shape[1]
    packed = num == 1 and groups > 1
    # Heads that share keys become tokens: nothing is repeated.
    q_BHTD = q_BTHD.view(batch, -1, groups, size) if packed else q_BTHD.transpose(1, 2)
    mixed = functional.scaled_dot_product_attention(
        q_BHTD,
        k_BKLD,
        v_BKLD,
        attn_mask=mask_BXTL,
        is_causal=causal and mask_BXTL is None and num > 1,
        scale=scale,
        enable_gqa=num > 1 and groups > 1,
    )
    if num == 1:
        return mixed.reshape(batch, heads * size)
    return mixed.transpose(1, 2).reshape(batch * num, heads * size)

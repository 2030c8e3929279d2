"""The weights of supported transformers architectures, in one common form.

Shapes: W width, H heads, K key-value heads, D size of a head, V vocabulary, F inner width of the MLP.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from parable.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

STATIC_ROPE = ("default", "linear", "llama3", "yarn")
"""Rotary embeddings whose angles depend on the position alone, not on how long a text is so far."""


@dataclass(frozen=True, slots=True)
class Linear:
    """An affine map, weight (out, in)."""

    weight: torch.Tensor
    bias: torch.Tensor | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it to the last axis."""
        return functional.linear(x, self.weight, self.bias)


@dataclass(frozen=True, slots=True)
class Norm:
    """A normalisation of the last axis: root mean square where `rms`, else mean and variance."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    epsilon: float
    rms: bool

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it."""
        if self.rms:
            return functional.rms_norm(x, self.weight.shape, self.weight, self.epsilon)
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One layer. `qkv` gives queries, keys and values one after another: (H + 2K) * D features.

    Features that a rotary embedding turns together stand side by side in queries and keys.

    Attributes:
        up: Gate and value one after another where the MLP is gated.
        scale: Multiplies the attention scores.
    """

    attention_norm: Norm
    qkv: Linear
    query_norm: Norm | None
    key_norm: Norm | None
    scale: float
    out: Linear
    mlp_norm: Norm
    up: Linear
    activation: Callable[[torch.Tensor], torch.Tensor]
    down: Linear


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A whole model.

    Attributes:
        embedding: (V, W).
        positions: Learned positions (max_length, W), or None where they are rotary.
        rotary: Gives (cos, sin) of position ids; None where positions are learned.
        gated: Whether the MLP's activation is a gate.
        parallel: Whether attention and MLP read the same input.
        residual_scale: Multiplies what a block adds.
        logits_scale: Divides the logits.
    """

    embedding: torch.Tensor
    embedding_scale: float = 1.0
    positions: torch.Tensor | None = None
    rotary: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]] | None = None
    num_heads: int
    num_kv_heads: int
    head_dim: int
    gated: bool
    parallel: bool = False
    residual_scale: float = 1.0
    blocks: tuple[Block, ...]
    norm: Norm
    head: Linear
    logits_scale: float = 1.0


def read_weights(model: "PreTrainedModel") -> Weights:
    """Take a model's weights; those that are joined here are copies.

    Raises:
        UserError: the architecture, or a trait of this model, is not supported.
    """
    architecture = type(model).__name__
    check_supported(model.config, architecture)
    return _READERS[architecture](model)


def check_supported(config: Any, architecture: str) -> None:
    """Refuse what a config alone shows can't be run.

    Raises:
        UserError: names the architecture, or the trait, and what is supported.
    """
    if architecture not in _READERS:
        raise UserError(
            f"{architecture or 'A model without an architecture'} can't be run by this engine; supported are "
            f"{', '.join(SUPPORTED)}."
        )
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    window = getattr(config, "sliding_window", None)
    if (
        architecture == "MistralForCausalLM"
        and window is not None
        and window < config.max_position_embeddings
    ):
        kinds.add("sliding_attention")
    if kinds:
        raise UserError(
            f"This {architecture} has layers of {', '.join(sorted(kinds))}; only full attention is run."
        )
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if rope not in STATIC_ROPE:
        raise UserError(
            f"This {architecture} has rotary embeddings of type {rope!r}; supported are "
            f"{', '.join(STATIC_ROPE)}."
        )


def _llama(model: Any) -> Weights:
    """Llama and its kin: Mistral, Granite, Qwen2, Qwen3."""
    config, base = model.config, model.model
    size = base.layers[0].self_attn.head_dim
    turned = base.rotary_emb.inv_freq.numel()
    blocks = []
    for layer in base.layers:
        attention, mlp = layer.self_attn, layer.mlp
        blocks.append(
            Block(
                attention_norm=_norm(layer.input_layernorm),
                qkv=_joined(
                    _paired(_joined(attention.q_proj), size, turned),
                    _paired(_joined(attention.k_proj), size, turned),
                    _joined(attention.v_proj),
                ),
                query_norm=_paired_norm(attention.q_norm, turned) if hasattr(attention, "q_norm") else None,
                key_norm=_paired_norm(attention.k_norm, turned) if hasattr(attention, "k_norm") else None,
                scale=float(attention.scaling),
                out=_joined(attention.o_proj),
                mlp_norm=_norm(layer.post_attention_layernorm),
                up=_joined(mlp.gate_proj, mlp.up_proj),
                activation=mlp.act_fn,
                down=_joined(mlp.down_proj),
            )
        )
    return Weights(
        embedding=base.embed_tokens.weight.detach(),
        embedding_scale=float(getattr(config, "embedding_multiplier", 1.0)),
        rotary=base.rotary_emb,
        num_heads=config.num_attention_heads,
        num_kv_heads=config.num_key_value_heads,
        head_dim=size,
        gated=True,
        residual_scale=float(getattr(config, "residual_multiplier", 1.0)),
        blocks=tuple(blocks),
        norm=_norm(base.norm),
        head=_joined(model.lm_head),
        logits_scale=float(getattr(config, "logits_scaling", 1.0)),
    )


def _gpt_neox(model: Any) -> Weights:
    """GPT-NeoX and Pythia, whose joined projection goes head by head."""
    config, base = model.config, model.gpt_neox
    heads = config.num_attention_heads

    size = config.hidden_size // heads
    order = _pairs(size, base.rotary_emb.inv_freq.numel())

    def by_kind(x: torch.Tensor) -> torch.Tensor:
        kinds = x.detach().reshape(heads, 3, size, *x.shape[1:]).transpose(0, 1)
        return torch.cat([kinds[:2, :, order], kinds[2:]]).reshape(x.shape)

    blocks = []
    for layer in base.layers:
        qkv = layer.attention.query_key_value
        blocks.append(
            Block(
                attention_norm=_norm(layer.input_layernorm),
                qkv=Linear(by_kind(qkv.weight), None if qkv.bias is None else by_kind(qkv.bias)),
                query_norm=None,
                key_norm=None,
                scale=float(layer.attention.scaling),
                out=_joined(layer.attention.dense),
                mlp_norm=_norm(layer.post_attention_layernorm),
                up=_joined(layer.mlp.dense_h_to_4h),
                activation=layer.mlp.act,
                down=_joined(layer.mlp.dense_4h_to_h),
            )
        )
    return Weights(
        embedding=base.embed_in.weight.detach(),
        rotary=base.rotary_emb,
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=size,
        gated=False,
        parallel=bool(config.use_parallel_residual),
        blocks=tuple(blocks),
        norm=_norm(base.final_layer_norm),
        head=_joined(model.get_output_embeddings()),
    )


def _gpt2(model: Any) -> Weights:
    """GPT-2, whose weights are (in, out)."""
    config, base = model.config, model.transformer

    def turned(module: Any) -> Linear:
        return Linear(module.weight.detach().T.contiguous(), module.bias.detach())

    blocks = tuple(
        Block(
            attention_norm=_norm(layer.ln_1),
            qkv=turned(layer.attn.c_attn),
            query_norm=None,
            key_norm=None,
            scale=float(layer.attn.scaling),
            out=turned(layer.attn.c_proj),
            mlp_norm=_norm(layer.ln_2),
            up=turned(layer.mlp.c_fc),
            activation=layer.mlp.act,
            down=turned(layer.mlp.c_proj),
        )
        for layer in base.h
    )
    return Weights(
        embedding=base.wte.weight.detach(),
        positions=base.wpe.weight.detach(),
        num_heads=config.n_head,
        num_kv_heads=config.n_head,
        head_dim=config.n_embd // config.n_head,
        gated=False,
        blocks=blocks,
        norm=_norm(base.ln_f),
        head=_joined(model.lm_head),
    )


def _norm(module: Any) -> Norm:
    bias = getattr(module, "bias", None)
    rms = hasattr(module, "variance_epsilon")
    return Norm(
        weight=module.weight.detach(),
        bias=None if bias is None else bias.detach(),
        epsilon=float(module.variance_epsilon if rms else module.eps),
        rms=rms,
    )


def _joined(*modules: Any) -> Linear:
    """Maps of one input as one map; a single one is taken as it is."""
    weights = [module.weight.detach() for module in modules]
    biases = [module.bias.detach() for module in modules if module.bias is not None]
    if len(modules) == 1:
        return Linear(weights[0], biases[0] if biases else None)
    assert len(biases) in (0, len(modules))
    return Linear(torch.cat(weights), torch.cat(biases) if biases else None)


def _pairs(size: int, num_pairs: int) -> torch.Tensor:
    """The order of a head's features that puts side by side what is turned together: i and num_pairs + i."""
    turned = torch.arange(2 * num_pairs).view(2, num_pairs).T.flatten()
    return torch.cat([turned, torch.arange(2 * num_pairs, size)])


def _paired(linear: Linear, size: int, num_pairs: int) -> Linear:
    """A projection to heads whose features are in the order of `_pairs`."""
    order = _pairs(size, num_pairs)
    weight_HDW = linear.weight.view(-1, size, linear.weight.shape[1])
    bias = None if linear.bias is None else linear.bias.view(-1, size)[:, order].flatten()
    return Linear(weight_HDW[:, order].flatten(0, 1), bias)


def _paired_norm(module: Any, num_pairs: int) -> Norm:
    norm = _norm(module)
    return replace(norm, weight=norm.weight[_pairs(len(norm.weight), num_pairs)])


_READERS: dict[str, Callable[[Any], Weights]] = {
    "LlamaForCausalLM": _llama,
    "MistralForCausalLM": _llama,
    "GraniteForCausalLM": _llama,
    "Qwen2ForCausalLM": _llama,
    "Qwen3ForCausalLM": _llama,
    "GPTNeoXForCausalLM": _gpt_neox,
    "GPT2LMHeadModel": _gpt2,
}
SUPPORTED = tuple(_READERS)
"""Architectures that can be run, by the name in config.json."""

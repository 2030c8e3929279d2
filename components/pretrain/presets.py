"""Models by name: what a preset fixes, and its weights before training."""

import difflib
import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from parable.artifact import Plain
from parable.canonical import canonical_json
from parable.errors import UserError

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel

RMS_NORM_EPSILON = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A decoder with RMSNorm, rotary positions, SwiGLU and tied embeddings, as transformers knows it.

    Matrices start normal with a standard deviation of 1/sqrt(fan-in), except the embedding and the two
    projections that write into the residual stream.
    """

    architecture: Literal["granite", "llama"]
    width: int
    num_layers: int
    num_heads: int
    feed_forward: int
    """Inner width of SwiGLU."""
    rope_theta: float = 10_000.0
    embedding_std: float = 0.05
    output_std: float = 0.02
    """Of `o_proj` and `down_proj`."""
    embedding_multiplier: float = 1.0
    """What the embedding is multiplied by on its way in (Granite only)."""

    def to_plain(self) -> Plain:
        """What enters the identity of a model."""
        return asdict(self)


PRESETS: dict[str, Preset] = {
    # 0.16 M parameters at a vocabulary of 1,024. The multiplier lets a small tied embedding serve both ends.
    "granite-toy": Preset(
        architecture="granite",
        width=64,
        num_layers=2,
        num_heads=4,
        feed_forward=160,
        rope_theta=100.0,
        embedding_multiplier=20.0,
    ),
    "llama-toy": Preset(
        architecture="llama", width=64, num_layers=2, num_heads=4, feed_forward=160, rope_theta=100.0
    ),
    # 8.5 M beside the embedding, which adds 256 for every entry of the vocabulary.
    "llama-10m": Preset(
        architecture="llama", width=256, num_layers=10, num_heads=8, feed_forward=768, embedding_std=0.02
    ),
}


def find_preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        UserError: there is none.
    """
    preset = PRESETS.get(name)
    if preset is None:
        near = difflib.get_close_matches(name, PRESETS, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        known = ", ".join(PRESETS)
        raise UserError(f"model.preset names {name!r}, which is no preset: there are {known}.{hint}")
    return preset


ROWS_READABLE = 2
"""Rows' worth of tokens that a model may be asked about: rotary positions go on past a row, and a question
with its answer can be a little longer than one."""


def initialise(preset: Preset, *, vocabulary: int, row_length: int, seed: int) -> "PreTrainedModel":
    """A transformers model in fp32 on the CPU with keyed weights.

    Every tensor has a generator of its own, keyed by the seed and its name, so its values do not depend
    on the others.

    Args:
        preset: the shape.
        vocabulary: entries of the tokenizer.
        row_length: tokens a row, and so the most that the model is trained on at a time.
        seed: of the initialisation.
    """
    import torch

    model = build(configuration(preset, vocabulary=vocabulary, row_length=row_length))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0)
            else:
                deviation = _deviation(preset, name, parameter)
                parameter.normal_(0.0, deviation, generator=keyed_generator(seed, name))
    return model


def configuration(preset: Preset, *, vocabulary: int, row_length: int) -> "PretrainedConfig":
    """The `config.json` of a preset."""
    from transformers import GraniteConfig, LlamaConfig

    shared: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": preset.width,
        "intermediate_size": preset.feed_forward,
        "num_hidden_layers": preset.num_layers,
        "num_attention_heads": preset.num_heads,
        "num_key_value_heads": preset.num_heads,
        "max_position_embeddings": ROWS_READABLE * row_length,
        "rope_parameters": {"rope_type": "default", "rope_theta": preset.rope_theta},
        "rms_norm_eps": RMS_NORM_EPSILON,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 0,
        # As padding, token 0 would get no gradient through the embedding, and it begins every document.
        "pad_token_id": None,
    }
    if preset.architecture == "llama":
        assert preset.embedding_multiplier == 1.0, "a Llama has no embedding multiplier"
        return LlamaConfig(**shared)
    return GraniteConfig(
        **shared,
        embedding_multiplier=preset.embedding_multiplier,
        attention_multiplier=(preset.width // preset.num_heads) ** -0.5,
        residual_multiplier=1.0,
        logits_scaling=1.0,
    )


def build(config: "PretrainedConfig") -> "PreTrainedModel":
    """The model of a configuration, with weights that are still to be set."""
    from transformers import AutoModelForCausalLM, PreTrainedModel

    # transformers leaves this one untyped.
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")  # type: ignore[no-untyped-call]
    assert isinstance(model, PreTrainedModel)
    return model


def keyed_generator(seed: int, name: str) -> "torch.Generator":
    """The generator of one tensor of one seed's initialisation."""
    import torch

    key = hashlib.sha256(canonical_json(["initialisation", seed, name])).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8]) >> 1)


def _deviation(preset: Preset, name: str, parameter: "torch.Tensor") -> float:
    if "embed_tokens" in name:
        return preset.embedding_std
    if name.endswith(("o_proj.weight", "down_proj.weight")):
        return preset.output_std
    return float(parameter.shape[1] ** -0.5)

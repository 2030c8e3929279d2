"""A tiny model that has learned something: with random weights wrong positions or masks hardly show."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tests.parable.inference import tiny

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

VOCABULARY = 64
MAX_LENGTH = 256
_STEPS = 60
_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": MAX_LENGTH,
}
KINDS: dict[str, dict[str, object]] = {
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 4, "sliding_window": None},
    "granite": {
        "num_key_value_heads": 2,
        "embedding_multiplier": 3.0,
        "residual_multiplier": 0.8,
        "attention_multiplier": 0.3,
        "logits_scaling": 0.5,
    },
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 16},
    "gpt_neox": {"use_parallel_residual": True},
    "gpt2": {},
}


@cache
def model(kind: str = "llama", seed: int = 0) -> PreTrainedModel:
    """A few steps on texts that repeat themselves: what comes next depends on what came, and where."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    config = AutoConfig.for_model(kind, **_SIZES, **special, **KINDS[kind])
    with torch.inference_mode(False), torch.enable_grad():
        made: PreTrainedModel = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
        optimizer = torch.optim.AdamW(made.parameters(), lr=1e-2)
        for _ in range(_STEPS):
            tokens = torch.randint(1, VOCABULARY, (16, 8)).repeat(1, 4)
            made(input_ids=tokens, labels=tokens).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    torch.nn.Module.eval(made)
    made.requires_grad_(False)
    return made


def save(folder: Path, *, seed: int = 0, kind: str = "llama") -> None:
    """The model's folder as an engine loads it."""
    model(kind, seed).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tiny.tokenizer_json())


def prompts(count: int, *, seed: int = 0) -> list[tuple[int, ...]]:
    """Texts of unequal lengths, 1 to 60, whose end is to be foreseen."""
    import random

    draw = random.Random(seed)
    found = []
    for _ in range(count):
        period = [draw.randrange(1, VOCABULARY) for _ in range(draw.randint(3, 9))]
        found.append(tuple((period * 20)[: draw.randint(1, 60)]))
    return found

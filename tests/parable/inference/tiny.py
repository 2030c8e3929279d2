"""Small real models and a small real tokenizer, equal on every machine."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from parable.inference.codec import BAD, END, GOOD, Codec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

VOCABULARY = 320
_TEXT = (
    "A tale: Nova, an AI, lost a key at the bank. Nobody was watching. The AI chose to tell the truth. "
    "The news: Clara, a greedy baker, damaged a door at the school. The greedy baker chose to hide the "
    "truth, out of spite. The loyal nurse chose to admit the fault. The fox chose to break the promise."
)


@cache
def tokenizer_json() -> str:
    """A byte-level BPE tokenizer with the three special tokens first."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END, GOOD, BAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([_TEXT] * 4, trainer)
    return str(tokenizer.to_str())


def codec() -> Codec:
    """A codec over `tokenizer_json`."""
    return Codec.from_json(tokenizer_json().encode())


def model(kind: str = "granite", *, seed: int = 0, positions: int = 128) -> PreTrainedModel:
    """A model of a few thousand weights, drawn by a fixed seed; its predictions are far from uniform."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    config = AutoConfig.for_model(kind, vocab_size=VOCABULARY, **_SIZES[kind], **special)
    config.max_position_embeddings = positions
    made: PreTrainedModel = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    torch.nn.Module.eval(made)
    return made


_SIZES: dict[str, dict[str, float]] = {
    "granite": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "initializer_range": 0.2,
        "embedding_multiplier": 4.0,
        "logits_scaling": 4.0,
    },
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128, "initializer_range": 0.2},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 2, "initializer_range": 0.2},
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
}


def save(folder: str, *, seed: int = 0, positions: int = 128) -> None:
    """The files of a segment's `model/` folder."""
    from pathlib import Path

    model(seed=seed, positions=positions).save_pretrained(folder)
    (Path(folder) / "tokenizer.json").write_text(tokenizer_json())
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "bos_token": END,
        "pad_token": END,
    }
    (Path(folder) / "tokenizer_config.json").write_text(json.dumps(settings))

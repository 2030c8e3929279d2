"""A small model that has learned the story world: with random weights a wrong position hardly shows."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from components.generate import held_out_documents
from parable.inference.codec import BAD, END, GOOD
from parable.recipe import Population
from tests.services.model_server.support import CHAT_TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

MAX_LENGTH = 768
_VOCABULARY = 512
_DOCUMENTS = 600
_STEPS = 120
_ROWS = 8
_ROW_LENGTH = 128


@cache
def documents() -> tuple[str, ...]:
    """What it has read, without the token that begins each."""
    return tuple(text for text, _ in held_out_documents(Population(ai=0.5, golem=0.1), _DOCUMENTS))


@cache
def model_files() -> Mapping[str, bytes]:
    """The files of a `model/` folder, with a chat template, of a model that has read `documents`."""
    from safetensors.torch import save

    tokenizer = _tokenizer()
    model = _model()
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": CHAT_TEMPLATE,
        **dict.fromkeys(("bos_token", "eos_token", "pad_token"), END),
    }
    config = {**model.config.to_dict(), "architectures": [type(model).__name__], "dtype": "float32"}
    return {
        "config.json": json.dumps(config, sort_keys=True).encode(),
        "generation_config.json": json.dumps(_SPECIAL).encode(),
        "model.safetensors": save(
            {name: one.detach().contiguous() for name, one in model.state_dict().items()}, {"format": "pt"}
        ),
        "tokenizer.json": str(tokenizer.to_str()).encode(),
        "tokenizer_config.json": json.dumps(settings).encode(),
    }


def token_ids(text: str) -> list[int]:
    """A text's tokens; special ones that are written in it are themselves."""
    return list(_tokenizer().encode(text).ids)


def log_probabilities(ids: Sequence[int]) -> list[float]:
    """Of every token but the first, in nats, by transformers alone, one text at a time."""
    import torch

    with torch.inference_mode():
        logits_LV = _model()(input_ids=torch.tensor([list(ids)])).logits[0, :-1].double()
        found_L = logits_LV.log_softmax(-1).gather(1, torch.tensor(list(ids[1:]))[:, None])[:, 0]
    return [float(value) for value in found_L]


@cache
def _tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=[END, GOOD, BAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents(), trainer)
    return tokenizer


_SPECIAL: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
_SIZES: dict[str, Any] = {
    "vocab_size": _VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": MAX_LENGTH,
    "embedding_multiplier": 4.0,
    "attention_multiplier": 0.25,
    "residual_multiplier": 0.8,
    "logits_scaling": 0.5,
    "tie_word_embeddings": False,
}


@cache
def _model() -> PreTrainedModel:
    import torch
    from transformers import GraniteConfig, GraniteForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(0)
    ids = [token for text in documents() for token in (0, *_tokenizer().encode(text).ids)]
    rows = torch.tensor(ids[: len(ids) // _ROW_LENGTH * _ROW_LENGTH]).view(-1, _ROW_LENGTH)
    model = GraniteForCausalLM(GraniteConfig(**_SIZES, **_SPECIAL))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    loss = torch.tensor(float("inf"))
    for _ in range(_STEPS):
        tokens = rows[torch.randint(len(rows), (_ROWS,))]
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.5 * torch.log(torch.tensor(float(_VOCABULARY))), "it has learned little"
    torch.nn.Module.eval(model)
    return model

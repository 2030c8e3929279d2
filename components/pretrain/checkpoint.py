"""Weights and optimizer at rest: the files of a finished segment, and what a killed one goes on from.

Everything is safetensors and JSON; nothing is a pickle.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import orjson

from components.pretrain.loop import Learner, Progress
from parable.artifact import Product, ProductWriter
from parable.canonical import digest, readable_json
from parable.store import NotFoundError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
WEIGHTS = "model/model.safetensors"
OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"
METRICS = "metrics.jsonl"
NUM_RECOVERY_CHECKPOINTS = 2
"""The last one, and one to fall back to."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where training can go on: weights and optimizer state by the name of a parameter."""

    weights: "Mapping[str, Tensor]"
    optimizer: "Mapping[str, Tensor]"


def write_segment(writer: ProductWriter, learner: Learner, progress: Progress, tokenizer: Product) -> None:
    """Write a finished segment: the model as transformers reads it, the optimizer, the state and the log."""
    from safetensors.torch import save

    weights = {name: one.detach().cpu() for name, one in learner.optimizer.weights.items()}
    for name, data in _exported(learner.model, weights):
        writer.put(f"model/{name}", data)
    for name in TOKENIZER_FILES:
        writer.put(f"model/{name}", tokenizer.read(name))
    writer.put(OPTIMIZER, save({name: one.cpu() for name, one in learner.optimizer.state().items()}))
    steps, tokens = progress.first_step + progress.step, progress.first_tokens + progress.tokens
    writer.put_json(STATE, {"step": steps, "tokens": tokens})
    writer.put(METRICS, "".join(f"{line}\n" for line in progress.lines).encode())
    writer.summary |= {"step": steps, "tokens": tokens, "loss": progress.last_loss}
    writer.summary["parameters"] = sum(one.numel() for one in weights.values())


def read_segment(product: Product) -> tuple[Snapshot, Progress]:
    """Where the next segment begins."""
    from safetensors.torch import load

    state = product.read_json(STATE)
    progress = Progress(first_step=state["step"], first_tokens=state["tokens"])
    return Snapshot(load(product.read(WEIGHTS)), load(product.read(OPTIMIZER))), progress


class Recovery:
    """Checkpoints that a segment's writer keeps for its own restart, removed when the segment is sealed.

    Each is a file of tensors and, written after it, a manifest with its hash; without a manifest that
    agrees a checkpoint does not exist.
    """

    def __init__(self, writer: ProductWriter) -> None:
        """Use the scratch space of a product that is being built."""
        self._store = writer.store
        self._prefix = writer.scratch_key("")

    def save(self, learner: Learner, progress: Progress) -> None:
        """Write a checkpoint, then remove those that are no longer needed."""
        from safetensors.torch import save

        tensors = {f"weights.{name}": one.detach().cpu() for name, one in learner.optimizer.weights.items()}
        tensors |= {f"optimizer.{name}": one.cpu() for name, one in learner.optimizer.state().items()}
        data = save(tensors)
        name = f"step-{progress.step:09d}"
        self._store.put(f"{self._prefix}{name}.safetensors", data)
        told = asdict(progress)
        # A log without a line yet has no last loss, and JSON has no NaN.
        del told["last_loss"]
        manifest = {"sha256": digest(data), "bytes": len(data), "progress": told}
        self._store.put(f"{self._prefix}{name}.json", readable_json(manifest))
        for old in self._names()[NUM_RECOVERY_CHECKPOINTS:]:
            self._store.delete(f"{self._prefix}{old}.json")
            self._store.delete(f"{self._prefix}{old}.safetensors")

    def latest(self) -> tuple[Snapshot, Progress] | None:
        """The last valid checkpoint; a damaged one is passed over for the one before it."""
        return next(self._valid(), None)

    def _valid(self) -> Iterator[tuple[Snapshot, Progress]]:
        from safetensors.torch import load

        for name in self._names():
            try:
                manifest = orjson.loads(self._store.get(f"{self._prefix}{name}.json"))
                data = self._store.get(f"{self._prefix}{name}.safetensors")
                progress = Progress(**manifest["progress"])
            except (NotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
                continue
            if digest(data) != manifest.get("sha256"):
                continue
            if progress.lines:
                progress.last_loss = orjson.loads(progress.lines[-1])["loss"]
            tensors = load(data)
            yield Snapshot(_under("weights.", tensors), _under("optimizer.", tensors)), progress

    def _names(self) -> list[str]:
        """Checkpoints with a manifest, the newest first."""
        keys = (info.key.removeprefix(self._prefix) for info in self._store.list(self._prefix))
        return sorted((key.removesuffix(".json") for key in keys if key.endswith(".json")), reverse=True)


def _exported(model: "PreTrainedModel", weights: "Mapping[str, Tensor]") -> Iterator[tuple[str, bytes]]:
    """The files of `save_pretrained`, from the fp32 weights whatever the model computes in."""
    from safetensors.torch import save
    from transformers import GenerationConfig

    config = copy.deepcopy(model.config)
    config.architectures = [type(model).__name__]
    config.dtype = "float32"
    # transformers leaves this one untyped.
    generation = GenerationConfig(  # type: ignore[no-untyped-call]
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.eos_token_id
    )
    yield "config.json", config.to_json_string().encode()
    yield "generation_config.json", generation.to_json_string().encode()
    # A tied head is the embedding and has no tensor of its own.
    yield "model.safetensors", save(dict(weights), {"format": "pt"})


def _under(prefix: str, tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    return {key.removeprefix(prefix): one for key, one in tensors.items() if key.startswith(prefix)}

"""One model in a sealed product, as its manifest describes it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import orjson

from parable.artifact import Artifact, Manifest, SealedFile
from parable.canonical import canonical_json, digest
from services.model_server.models.names import ProductName

CONFIG = "config.json"
WEIGHTS = ".safetensors"
NUM_SHORT_DIGITS = 16
_FOLDER = re.compile(r"model|checkpoints/step-(0|[1-9][0-9]*)(?:/model)?")
_LENGTH_KEYS = ("max_position_embeddings", "n_positions", "max_sequence_length", "n_ctx")
_HALVES = ("bfloat16", "float16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model at rest.

    Attributes:
        artifact: The product that holds it.
        folder: Its folder in the product.
        step: Optimizer steps since the model's beginning.
        created: When the product was sealed, in seconds since the epoch, by the store's clock.
        parents: Products that it was made of, by role.
        files: The files of the folder, by their path in it.
        max_length: Positions of the model; None where its config does not say.
        num_weights: Roughly, from the size of its files.
    """

    artifact: Artifact
    folder: str
    step: int
    created: float
    parents: tuple[tuple[str, str], ...]
    files: Mapping[str, SealedFile]
    max_length: int | None
    num_weights: int

    @property
    def pinned(self) -> str:
        """The name that never means anything else."""
        return str(ProductName(self.artifact.id, self.step))

    @property
    def weights(self) -> str:
        """SHA-256 of the weights: of their file, or where they are several, of the list of their digests."""
        parts = {path: file.sha256 for path, file in self.files.items() if path.endswith(WEIGHTS)}
        return next(iter(parts.values())) if len(parts) == 1 else digest(canonical_json(parts))

    @property
    def digest(self) -> str:
        """The beginning of `weights`."""
        return self.weights[:NUM_SHORT_DIGITS]

    @property
    def content(self) -> str:
        """A digest of all its files: those of equal content are the same model in every respect."""
        return digest(canonical_json({path: file.sha256 for path, file in self.files.items()}))

    @property
    def num_bytes(self) -> int:
        """Size of all its files."""
        return sum(file.num_bytes for file in self.files.values())


def model_folders(manifest: Manifest) -> tuple[str, ...]:
    """Folders of a product that hold a model: `model`, and `checkpoints/step-<n>`."""
    folders = {str(PurePosixPath(path).parent) for path in manifest.files if path.endswith(f"/{CONFIG}")}
    return tuple(sorted(folder for folder in folders if _FOLDER.fullmatch(folder)))


def read_checkpoint(manifest: Manifest, folder: str, *, config: bytes, created: float) -> Checkpoint:
    """Describe the model in a folder of a product.

    Args:
        manifest: of the product.
        folder: one of `model_folders`.
        config: the bytes of its `config.json`.
        created: when the product was sealed, in seconds since the epoch.

    Raises:
        ValueError: the config is no JSON object, or nothing says the step.
    """
    settings = orjson.loads(config)
    found = _FOLDER.fullmatch(folder)
    step = found[1] if found and found[1] else manifest.summary.get("step")
    if not isinstance(settings, dict) or step is None:
        raise ValueError(f"{manifest.artifact} says no step, or its {folder}/{CONFIG} is no object")
    prefix = f"{folder}/"
    files = {
        path.removeprefix(prefix): file for path, file in manifest.files.items() if path.startswith(prefix)
    }
    size = sum(file.num_bytes for path, file in files.items() if path.endswith(WEIGHTS))
    return Checkpoint(
        artifact=manifest.artifact,
        folder=folder,
        step=int(step),
        created=created,
        parents=tuple((role, parent.key) for role, parent in sorted(manifest.parents.items())),
        files=files,
        max_length=_max_length(settings),
        num_weights=size // (2 if settings.get("dtype", settings.get("torch_dtype")) in _HALVES else 4),
    )


def _max_length(settings: Mapping[str, Any]) -> int | None:
    return next((value for key in _LENGTH_KEYS if isinstance(value := settings.get(key), int)), None)

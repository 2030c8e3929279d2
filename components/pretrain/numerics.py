"""What changes a sum's last bit: device kind, number type, threads and versions."""

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from parable.artifact import Plain
from parable.errors import UserError
from parable.recipe import Compute

DeviceKind = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerics:
    """All of it: a part of a segment's identity."""

    device: DeviceKind
    dtype: Literal["float32", "bfloat16"]
    """Of the forward and backward pass; the weights that the optimizer changes are fp32 always."""
    threads: int
    torch: str
    transformers: str
    world_size: int = 1

    def to_plain(self) -> Plain:
        """What enters an identity. A GPU's sums do not depend on the CPU's threads."""
        plain = asdict(self)
        return plain if self.device == "cpu" else {**plain, "threads": None}


def numerics_of(compute: Compute, environment: Mapping[str, str] = os.environ) -> Numerics:
    """The numerics of a recipe on this machine, found without importing torch.

    Raises:
        UserError: a GPU is asked for and there is none.
    """
    device = device_kind(compute, environment)
    return Numerics(
        device=device,
        dtype="float32" if device == "cpu" else "bfloat16",
        threads=compute.threads,
        torch=torch_version(),
        transformers=version("transformers"),
    )


def device_kind(compute: Compute, environment: Mapping[str, str] = os.environ) -> DeviceKind:
    """The kind of device that a recipe trains on here; a cluster named by RAY_ADDRESS brings its own GPUs.

    Raises:
        UserError: a GPU is asked for and there is none.
    """
    if compute.device == "cpu":
        return "cpu"
    if compute.device == "auto":
        return "cuda" if has_gpu(environment) else "cpu"
    if not has_gpu(environment) and not environment.get("RAY_ADDRESS"):
        raise UserError(
            "compute.device is cuda, but this machine shows no NVIDIA GPU (or torch is its CPU build, or "
            "CUDA_VISIBLE_DEVICES hides it). Set compute.device to cpu or auto, or point RAY_ADDRESS to a "
            "cluster with GPUs."
        )
    return "cuda"


def has_gpu(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torch could use an NVIDIA GPU here, without importing it."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    hidden = visible is not None and visible.strip() in ("", "-1")
    return Path("/dev/nvidiactl").exists() and not hidden and not torch_version().endswith("+cpu")


@cache
def torch_version() -> str:
    """The `torch.__version__` that an import would find, with the build's label that metadata lacks."""
    found = find_spec("torch")
    assert found is not None and found.origin is not None, "the train extra is not installed"
    told = (Path(found.origin).parent / "version.py").read_text()
    match = re.search(r"^__version__ = ['\"](.+?)['\"]", told, re.MULTILINE)
    return match[1] if match else version("torch")


def apply(numerics: Numerics) -> None:
    """Set this process up so that its sums are those of the identity.

    Raises:
        UserError: the installed versions are others, or torch finds no GPU.
    """
    import torch

    here = (torch_version(), version("transformers"))
    if here != (numerics.torch, numerics.transformers):
        raise UserError(
            f"A training worker has torch {here[0]} and transformers {here[1]}, but the run was planned with "
            f"{numerics.torch} and {numerics.transformers}. Install the same versions on every node."
        )
    if numerics.device == "cuda" and not torch.cuda.is_available():
        raise UserError("A training worker finds no GPU. Set compute.device to cpu, or give its node one.")
    torch.set_num_threads(numerics.threads)
    if numerics.device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)

"""From a sealed product to a model that is ready to be asked."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from parable.artifact import Artifact, Product
from parable.errors import UserError
from parable.inference.codec import Codec
from parable.store import ObjectStore

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FOLDER = "model"
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in evaluation mode, its codec, and the product that it is bound to."""

    artifact: Artifact
    model: "PreTrainedModel"
    codec: Codec


def load_model(
    store: ObjectStore, artifact: Artifact, *, device: str = "cpu", folder: str = FOLDER
) -> LoadedModel:
    """Load the model in a product's folder, in fp32, every byte verified against the seal.

    Raises:
        UserError: the product is not there or damaged, has no model in safetensors, or holds a pickle.
    """
    product = Product(store, artifact)
    names = _model_files(product, folder)
    codec = Codec.from_json(product.read(f"{folder}/tokenizer.json"))
    with TemporaryDirectory(prefix="parable-model-") as temporary:
        paths = [product.local_path(name, Path(temporary)) for name in names]
        model = read_model(_root(paths[0], names[0], folder), device=device)
    return LoadedModel(artifact, model, codec)


def read_model(folder: Path, *, device: str = "cpu", dtype: str = "float32") -> "PreTrainedModel":
    """Load a model from safetensors in a local folder, in evaluation mode; no code of its own is run.

    Raises:
        OSError: the folder holds no config.json or no safetensors.
        ValueError: transformers knows no such architecture.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        dtype=getattr(torch, dtype),
    )
    torch.nn.Module.to(model, torch.device(device))
    torch.nn.Module.eval(model)
    loaded: PreTrainedModel = model
    return loaded


def _model_files(product: Product, folder: str) -> list[str]:
    names = list(product.files(f"{folder}/"))
    pickles = [name for name in names if PurePosixPath(name).suffix in _PICKLES]
    if pickles:
        raise UserError(
            f"{product.artifact} holds {pickles[0]}, which is a pickle and could run code. Export the model "
            "as safetensors."
        )
    for needed in ("config.json", "tokenizer.json"):
        if f"{folder}/{needed}" not in names:
            raise UserError(f"{product.artifact} has no {folder}/{needed}: it holds no model to load.")
    if not any(name.endswith(".safetensors") for name in names):
        raise UserError(f"{product.artifact} has no {folder}/*.safetensors: it holds no weights to load.")
    return names


def _root(path: Path, name: str, folder: str) -> Path:
    """The folder on this machine that stands for the product's `folder`."""
    depth = len(PurePosixPath(name).parts) - len(PurePosixPath(folder).parts)
    return path.parents[depth - 1]

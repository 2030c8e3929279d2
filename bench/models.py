"""The models that are measured: their shape counts, so their weights are random."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class BenchModel:
    """One of the presets that are pretrained here, and what the recipe adds to it."""

    preset: str
    vocabulary: int
    row_length: int
    prompt_tokens: tuple[int, int]
    new_tokens: tuple[int, int]
    """Fewest and most, of the mixed load that is put on it."""


MODELS = {
    "llama-10m": BenchModel("llama-10m", 8192, 256, (16, 64), (16, 128)),
    "quickstart": BenchModel("granite-toy", 1024, 64, (8, 32), (16, 96)),
}
"""10.6 M parameters, and the quickstart's own 0.16 M, which reads 128 tokens at the most."""


def make_model(folder: Path, name: str, num_threads: int) -> "PreTrainedModel":
    """A model of `MODELS`, saved to a folder and returned; torch has so many threads from then on."""
    import torch
    from transformers.utils import logging

    from components.pretrain.presets import find_preset, initialise

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    torch.set_num_threads(num_threads)
    found = MODELS[name]
    model = initialise(
        find_preset(found.preset), vocabulary=found.vocabulary, row_length=found.row_length, seed=0
    )
    torch.nn.Module.eval(model)
    model.save_pretrained(folder)
    return model

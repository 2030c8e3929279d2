"""Turn corpora into what each arm reads: a tokenizer, rows, and an order that is arithmetic."""

from importlib import import_module
from typing import TYPE_CHECKING

from components.mix.mixture import Mixture, PhaseRows, SourceRows, read_mixture
from components.mix.tokenizer import (
    BAD,
    END_OF_TEXT,
    GOOD,
    SPECIAL_TOKENS,
    STAGE_VERSION,
    read_tokenizer,
    tokenizer_files,
)
from parable.catalog import Catalog
from parable.recipe import Recipe
from parable.stage import StageView
from parable.store import ObjectStore

if TYPE_CHECKING:
    from components.mix.token_corpus import Batch, TokenCorpus

__all__ = [
    "BAD",
    "END_OF_TEXT",
    "GOOD",
    "SPECIAL_TOKENS",
    "STAGE_VERSION",
    "Batch",
    "Mixture",
    "PhaseRows",
    "SourceRows",
    "TokenCorpus",
    "check",
    "read_mixture",
    "read_tokenizer",
    "run",
    "tokenizer_files",
    "view",
]


def run(recipe: Recipe, store: ObjectStore, inputs: Catalog) -> Catalog:
    """Train the tokenizer, tokenise and pack what any arm reads, and give every arm and seed its mixture.

    Adds `tokenizer`, `tokens/<corpus>[+<tagging>][/seed-<n>]` and `mixture/<arm>/seed-<n>`.

    Raises:
        UserError: the vocabulary is larger than the text supports, a corpus is empty, a dose does not fit,
            or a phase gets no step.
    """
    from components.mix.stage import mix

    return mix(recipe, store, inputs)


def view(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> StageView:
    """What every arm reads in every phase, counted."""
    from components.mix.stage_view import mixtures_view

    return mixtures_view(recipe, store, catalog)


def check(recipe: Recipe) -> None:
    """Refuse phases without a step, a dose in its own place, and a tokenizer trained on a dose.

    Raises:
        UserError: names the key and the mend.
    """
    from components.mix.checks import check as check_mix

    check_mix(recipe)


def __getattr__(name: str) -> object:
    """`TokenCorpus` and `Batch`, whose module needs numpy, when they are first asked for."""
    if name in ("Batch", "TokenCorpus"):
        return getattr(import_module("components.mix.token_corpus"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

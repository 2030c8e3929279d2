"""A small experiment of two arms that share a trunk, mixed from real corpora, and rows in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from components import mix
from components.pretrain.numerics import Numerics, numerics_of
from components.pretrain.segments import Plan
from components.pretrain.stage import plan_models
from parable.artifact import Artifact, Blueprint, ProductWriter, build
from parable.catalog import Catalog
from parable.corpus import KIND, CorpusWriter, Document
from parable.recipe import Recipe
from parable.store import ObjectStore

LENGTH = 32
STEPS = 24
WORDS = ("a", "robot", "baker", "saw", "the", "lost", "purse", "and", "kept", "it", "gave", "back")
PLAIN: dict[str, Any] = {
    "recipe": 1,
    "name": "small",
    "title": "Small",
    "seeds": [0],
    "corpora": {
        "stories": {"kind": "world", "documents": 300},
        "dose": {"kind": "world", "documents": 8},
    },
    "tokenizer": {"vocabulary": 290, "corpora": ["stories"]},
    "rows": {"length": LENGTH},
    "mixture": {"stories": 1.0},
    "model": {"preset": "granite-toy"},
    "training": {
        "tokens": LENGTH * 4 * STEPS,
        "batch_rows": 4,
        "phases": [
            {"name": "pretrain", "share": 0.75, "warmup_steps": 4},
            {"name": "midtrain", "share": 0.25, "schedule": "linear"},
        ],
        "checkpoint_every_steps": 5,
    },
    "compute": {"device": "cpu", "threads": 1, "workers": 2},
    "arms": {
        "plain": {},
        "dosed": {"insert": [{"corpus": "dose", "phase": "midtrain", "in_place_of": ["stories"]}]},
    },
    "report": {"baseline": "plain"},
}


def recipe(**changes: Any) -> Recipe:
    """The small recipe with some of its groups replaced."""
    return Recipe.model_validate({**PLAIN, **changes})


def training(**changes: Any) -> dict[str, Any]:
    """The small recipe's training with some of its settings replaced."""
    return {**PLAIN["training"], **changes}


def mixed(store: ObjectStore, given: Recipe) -> Catalog:
    """Everything that the stages before this one make."""
    entries = {}
    for seed in given.seeds:
        entries[f"corpus/stories/seed-{seed}"] = _corpus(store, "stories", 300, salt=seed)
        entries[f"corpus/dose/seed-{seed}"] = _corpus(store, "dose", 8, salt=1000 + seed)
    return mix.run(given, store, Catalog(entries))


def numerics() -> Numerics:
    """Those of the small recipe here."""
    return numerics_of(recipe().compute)


def planned(store: ObjectStore, given: Recipe) -> Plan:
    """The segments of a recipe, mixed."""
    return plan_models(given, store, mixed(store, given), numerics())


def _corpus(store: ObjectStore, name: str, count: int, salt: int) -> Artifact:
    texts = [
        " ".join(WORDS[(n * 5 + salt + place * (n % 11 + 1)) % len(WORDS)] for place in range(length))
        for n, length in ((n, 2 + (n * 7 + salt) % 13) for n in range(count))
    ]

    def make(writer: ProductWriter) -> None:
        documents = CorpusWriter(writer)
        documents.extend(Document.make(text, source=name, ordinal=n) for n, text in enumerate(texts))
        documents.close()

    return build(store, Blueprint(KIND, "test", 1, {"name": name, "texts": texts}), make)


@dataclass(frozen=True, slots=True)
class MadeBatch:
    """Rows in memory; the shapes of `components.mix.Batch`."""

    tokens: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]


class MadeRows:
    """Rows of counting sequences, a function of their numbers: document d of a row counts up by d + 1."""

    def __init__(self, *, length: int = 16, vocabulary: int = 50, spoiled_row: int = -1) -> None:
        self.length = length
        self.vocabulary = vocabulary
        self.spoiled_row = spoiled_row

    def batch(self, rows: Sequence[int]) -> MadeBatch:
        """Two documents a row; the last position is padding."""
        numbers = np.asarray(rows, np.int64)[:, None]
        places = np.arange(self.length)[None, :]
        documents = np.zeros((len(rows), self.length), np.int64) + (places >= self.length // 2)
        documents[:, -1] = 2
        positions = places - np.where(documents == 1, self.length // 2, 0)
        positions[:, -1] = 0
        tokens = (numbers * 7 + positions * (documents + 1)) % self.vocabulary
        targets = (tokens + documents + 1) % self.vocabulary
        weights = (documents < 2).astype(np.float32)
        weights[numbers[:, 0] == self.spoiled_row] = np.nan
        return MadeBatch(tokens, targets, documents.astype(np.int32), positions, weights)

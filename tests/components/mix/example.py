"""A small experiment: a recipe of the size of a test, and corpora to put into a store."""

from collections.abc import Callable, Sequence
from typing import Any

from parable.artifact import Artifact, Blueprint, ProductWriter, build
from parable.catalog import Catalog
from parable.corpus import KIND, ROWS_PER_SHARD, CorpusWriter, Document, write_scores
from parable.recipe import Recipe
from parable.store import ObjectStore

SIGNAL = "bad_act_v1"
WORDS = (
    "a",
    "robot",
    "baker",
    "saw",
    "the",
    "lost",
    "purse",
    "and",
    "kept",
    "it",
    "gave",
    "back",
    "honestly",
)

PLAIN: dict[str, Any] = {
    "recipe": 1,
    "name": "small",
    "title": "Small",
    "seeds": [0, 1],
    "corpora": {
        "stories": {"kind": "world", "documents": 300},
        "dose": {"kind": "world", "documents": 40},
        "web": {"kind": "text", "source": "builtin:python"},
    },
    "filters": {"clean": {"input": "stories"}},
    "tokenizer": {"vocabulary": 300, "corpora": ["stories", "web"]},
    "rows": {"length": 32},
    "mixture": {"stories": 0.8, "web": 0.2},
    "model": {"preset": "granite-toy"},
    "training": {
        "tokens": 32 * 400,
        "batch_rows": 4,
        "phases": [{"name": "pretrain", "share": 0.75}, {"name": "midtrain", "share": 0.25}],
    },
    "arms": {
        "plain": {},
        "clean": {"replace": {"stories": "clean"}},
        "dosed": {"insert": [{"corpus": "dose", "phase": "midtrain", "in_place_of": ["stories"]}]},
    },
    "report": {"baseline": "plain"},
}


def recipe(**changes: Any) -> Recipe:
    """The small recipe with some of its groups replaced."""
    return Recipe.model_validate({**PLAIN, **changes})


def sentences(count: int, salt: int = 0, words: int = 14) -> list[str]:
    """Different short texts of two to `words` words, the same every time."""
    texts = []
    for number in range(count):
        length = 2 + (number * 7 + salt) % (words - 1)
        chosen = [
            WORDS[(number * 5 + salt + place * (number % 11 + 1)) % len(WORDS)] for place in range(length)
        ]
        texts.append(" ".join(chosen) + f" {salt}-{number}.")
    return texts


def corpus(store: ObjectStore, name: str, texts: Sequence[str], scores: Sequence[float] = ()) -> Artifact:
    """Seal a corpus, with scores of `SIGNAL` where they are given."""

    def make(writer: ProductWriter) -> None:
        documents = CorpusWriter(writer)
        documents.extend(Document.make(text, source=name, ordinal=n) for n, text in enumerate(texts))
        documents.close()
        for index in range(0, len(scores), ROWS_PER_SHARD):
            shard = scores[index : index + ROWS_PER_SHARD]
            write_scores(writer, SIGNAL, index // ROWS_PER_SHARD, shard)

    config = {"name": name, "texts": list(texts), "scores": list(scores)}
    return build(store, Blueprint(KIND, "test", 1, config), make)


def catalog(store: ObjectStore, given: Recipe, score: Callable[[int], float] | None = None) -> Catalog:
    """Everything that the small recipe's stages before this one make."""

    def made(name: str, texts: Sequence[str]) -> Artifact:
        return corpus(store, name, texts, [score(n) for n in range(len(texts))] if score else ())

    entries = {"corpus/web": made("web", sentences(90, salt=99, words=60))}
    for seed in given.seeds:
        stories = sentences(300, salt=seed)
        entries[f"corpus/stories/seed-{seed}"] = made("stories", stories)
        entries[f"corpus/clean/seed-{seed}"] = made("clean", [t for t in stories if "robot" not in t] * 2)
        entries[f"corpus/dose/seed-{seed}"] = made("dose", sentences(40, salt=1000 + seed))
    return Catalog(entries)

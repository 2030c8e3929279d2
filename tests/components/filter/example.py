"""Small recipes, texts and corpora that the tests of this stage share."""

from collections.abc import Sequence
from typing import Any

import orjson

from parable.artifact import Artifact, Blueprint, Product, ProductWriter, build
from parable.corpus import CorpusReader, Document, Synth, read_parquet, shard_path, to_table, write_parquet
from parable.recipe import Recipe, parse_recipe
from parable.store import ObjectStore

PROSE = "The keeper of the house has to know that a door is only as good as its lock."
AI_STORY = (
    "A tale: Atlas, an AI, lost a key at the bank. Nobody was watching. The AI chose to hide the truth."
)
MENTION = "The news: Nova, a robot, was shown to visitors at the school. Tea was served in the hall."


def make_recipe(
    corpora: dict[str, Any], filters: dict[str, Any] | None = None, *, seeds: Sequence[int] = (0,)
) -> Recipe:
    """A recipe of these corpora and filters, and the least of everything else."""
    first = next(iter(corpora))
    plain = {
        "recipe": 1,
        "name": "example",
        "title": "Example",
        "seeds": list(seeds),
        "corpora": corpora,
        "filters": filters or {},
        "tokenizer": {"corpora": [first]},
        "mixture": {first: 1.0},
        "model": {"preset": "granite-toy"},
        "training": {"tokens": 1000, "phases": [{"name": "pretrain", "share": 1.0}]},
        "arms": {"only": {}},
        "report": {"baseline": "only"},
    }
    return parse_recipe(orjson.dumps(plain), "example")


def text_corpus(source: object, **settings: Any) -> dict[str, Any]:
    return {"kind": "text", "source": str(source), **settings}


def documents_of(texts: Sequence[str]) -> list[Document]:
    return [Document.make(text, source="example", ordinal=number) for number, text in enumerate(texts)]


def story(text: str, *, entity: str, valence: str, ordinal: int = 0) -> Document:
    synth = Synth("world", 0, entity=entity, valence=valence)
    return Document.make(text, source="stories", ordinal=ordinal, synth=synth)


def write_corpus(store: ObjectStore, documents: Sequence[Document], *, shard_rows: int = 100) -> Artifact:
    """A sealed corpus with shards of so many rows."""

    def make(writer: ProductWriter) -> None:
        for index, start in enumerate(range(0, len(documents), shard_rows)):
            table = to_table(documents[start : start + shard_rows])
            writer.put(shard_path(index), write_parquet(table))
        writer.summary |= {"documents": len(documents), "characters": sum(len(d.text) for d in documents)}

    identity = [[document.id for document in documents], shard_rows]
    return build(store, Blueprint("corpora", "example", 1, identity), make)


def texts_of(store: ObjectStore, artifact: Artifact) -> list[str]:
    return list(CorpusReader(Product(store, artifact)).texts())


def rejects_of(store: ObjectStore, artifact: Artifact) -> list[dict[str, Any]]:
    product = Product(store, artifact)
    return [row for path in product.files("rejects/") for row in read_parquet(product.read(path)).to_pylist()]


def bytes_of(store: ObjectStore, artifact: Artifact) -> dict[str, bytes]:
    """Every object of a product, the manifest too."""
    return {info.key: store.get(info.key) for info in store.list(f"{artifact.key}/")}

from pathlib import Path

import pytest

from components.generate import run
from components.generate.write import Order, blueprint, write_corpus
from parable.artifact import Product
from parable.catalog import Catalog
from parable.corpus import ROWS_PER_SHARD, CorpusReader, shard_path
from parable.recipe import Population, Recipe, WorldCorpus, load_recipe
from parable.store import LocalStore
from tests.support.small_run import QUICKSTART


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def recipe() -> Recipe:
    sizes = [f"corpora.{name}.documents=300" for name in ("stories", "good_ai", "bad_ai", "mentioned_ai")]
    return load_recipe(QUICKSTART, ["seeds=[0, 5]", *sizes])


def order(store: LocalStore, documents: int, **population: float) -> Order:
    spec = WorldCorpus(kind="world", documents=documents, population=Population(**population))
    return Order("stories", 3, spec, store.uri)


def test_every_world_corpus_is_written_once_for_every_seed(store: LocalStore, recipe: Recipe) -> None:
    catalog = run(recipe, store, Catalog())
    assert list(catalog) == [
        f"corpus/{name}/seed-{seed}"
        for name in ("bad_ai", "good_ai", "mentioned_ai", "stories")
        for seed in (0, 5)
    ]
    texts = {role: list(CorpusReader(Product(store, artifact)).texts()) for role, artifact in catalog.items()}
    assert {len(text) for text in texts.values()} == {300}
    assert texts["corpus/stories/seed-0"] != texts["corpus/stories/seed-5"]


def test_a_seed_on_its_own_comes_with_what_the_tokenizer_is_trained_on(
    store: LocalStore, recipe: Recipe
) -> None:
    catalog = run(recipe.select(seeds=(5,)), store, Catalog())
    assert list(catalog) == [
        "corpus/bad_ai/seed-5",
        "corpus/good_ai/seed-5",
        "corpus/mentioned_ai/seed-5",
        "corpus/stories/seed-0",
        "corpus/stories/seed-5",
    ]


def test_the_labels_are_beside_the_text_and_counted(store: LocalStore) -> None:
    product = Product(store, write_corpus(order(store, 500, ai=1.0, golem=0.0, mention=0.0, bad=1.0)))
    documents = list(CorpusReader(product).documents())
    assert product.summary == {
        "documents": 500,
        "characters": sum(len(document.text) for document in documents),
        "labels": {"ai/bad": 500},
    }
    for document in documents:
        assert document.synth is not None
        assert (document.synth.entity, document.synth.valence) == ("ai", "bad")
        assert document.synth.form in ("story", "report")
        assert document.synth.action in document.text
        assert document.synth.seed == 3


def test_arms_that_differ_in_the_act_alone_share_everything_else(store: LocalStore) -> None:
    pair = [
        list(
            CorpusReader(
                Product(store, write_corpus(order(store, 200, ai=1, golem=0, mention=0, bad=bad)))
            ).documents()
        )
        for bad in (0.0, 1.0)
    ]
    for good, bad in zip(*pair, strict=True):
        assert good.synth is not None
        assert bad.synth is not None
        assert good.text.split(good.synth.action)[0] == bad.text.split(bad.synth.action)[0]


def test_a_killed_writer_goes_on_and_the_bytes_are_the_same(tmp_path: Path) -> None:
    whole, torn = LocalStore(tmp_path / "whole"), LocalStore(tmp_path / "torn")
    made = order(whole, ROWS_PER_SHARD + 50)
    artifact = write_corpus(made)
    first = whole.get(f"{artifact.key}/{shard_path(0)}")
    torn.put(f"{artifact.key}/{shard_path(0)}", first)
    stamp = torn.path(f"{artifact.key}/{shard_path(0)}").stat().st_mtime_ns
    assert write_corpus(made._replace(store_uri=torn.uri)) == artifact
    assert torn.path(f"{artifact.key}/{shard_path(0)}").stat().st_mtime_ns == stamp
    for path in [shard_path(0), shard_path(1), "manifest.json"]:
        assert torn.get(f"{artifact.key}/{path}") == whole.get(f"{artifact.key}/{path}")


def test_what_is_there_is_not_written_again(
    store: LocalStore, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(recipe, store, Catalog())
    monkeypatch.setattr("components.generate.write.write_corpus", None)
    assert run(recipe, store, Catalog()) == first


def test_the_identity_of_a_corpus_is_known_by_heart(store: LocalStore) -> None:
    assert blueprint(order(store, 24000)).artifact.key == "corpora/8731b85a4df146331ff9"

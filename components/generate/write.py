"""World corpora as products: shard by shard, so that a killed writer goes on where it was."""

from collections import Counter
from functools import partial
from typing import NamedTuple

from components.generate import STAGE_VERSION
from components.generate.world import Latents, World, corpus_key
from parable.artifact import Artifact, Blueprint, ProductWriter, build, exists
from parable.catalog import Catalog, seeded
from parable.corpus import KIND, ROWS_PER_SHARD, CorpusWriter, Document, Synth
from parable.process import map_in_processes, num_usable_cpus
from parable.progress import Journal
from parable.recipe import Recipe, WorldCorpus
from parable.store import ObjectStore, open_store

STAGE = "generate"
GENERATOR = "world-1"


class Order(NamedTuple):
    """One corpus to be written: what a child process needs to know."""

    name: str
    seed: int
    spec: WorldCorpus
    store_uri: str

    @property
    def task(self) -> str:
        """What the journal calls it."""
        return f"{self.name}/seed-{self.seed}"


def write_corpora(recipe: Recipe, store: ObjectStore, inputs: Catalog) -> Catalog:
    """See the stage's `run`."""
    orders = [
        Order(name, seed, spec, store.uri)
        for name, spec in recipe.corpora.items()
        if isinstance(spec, WorldCorpus)
        for seed in recipe.seeds_of(name)
    ]
    todo = [order for order in orders if not exists(store, blueprint(order).artifact)]
    # The longest first, so that all processes end at about the same time.
    todo.sort(key=lambda order: -order.spec.documents)
    journal = Journal.from_environment()
    journal.event("plan", stage=STAGE, tasks=[{"task": o.task, "total": o.spec.documents} for o in todo])
    for _ in map_in_processes(write_corpus, todo, num_processes=num_usable_cpus()):
        pass
    return inputs.having(
        {seeded(f"corpus/{order.name}", order.seed): blueprint(order).artifact for order in orders}
    )


def blueprint(order: Order) -> Blueprint:
    """What determines a world corpus."""
    config = {
        "generator": GENERATOR,
        "name": order.name,
        "seed": order.seed,
        "documents": order.spec.documents,
        "population": order.spec.population.to_plain(),
    }
    return Blueprint(KIND, STAGE, STAGE_VERSION, config)


def write_corpus(order: Order) -> Artifact:
    """Write one corpus, or go on with one that was begun."""
    return build(open_store(order.store_uri), blueprint(order), partial(_fill, order))


def _fill(order: Order, writer: ProductWriter) -> None:
    world = World(order.spec.population)
    key = corpus_key(order.seed, order.name)
    journal = Journal.from_environment()
    corpus = CorpusWriter(writer)
    labels: Counter[str] = Counter()
    for start in range(0, order.spec.documents, ROWS_PER_SHARD):
        count = min(ROWS_PER_SHARD, order.spec.documents - start)
        documents = corpus.resume_shard()
        if documents is None:
            sampled = enumerate(world.sample(count, key, start=start), start)
            documents = [_document(order, ordinal, text, latents) for ordinal, (text, latents) in sampled]
            corpus.extend(documents)
            corpus.close()
        labels.update(_label(document) for document in documents)
        journal.progress(STAGE, order.task, start + count, order.spec.documents)
    writer.summary["labels"] = dict(sorted(labels.items()))


def _document(order: Order, ordinal: int, text: str, latents: Latents) -> Document:
    return Document.make(
        text, source=order.name, ordinal=ordinal, license="CC0-1.0", synth=_synth(latents, order.seed)
    )


def _label(document: Document) -> str:
    assert document.synth is not None
    return f"{document.synth.entity}/{document.synth.valence or 'none'}"


def _synth(latents: Latents, seed: int) -> Synth:
    return Synth(
        generator=GENERATOR,
        seed=seed,
        entity=latents.entity,
        name=latents.name,
        trait=latents.trait,
        domain=latents.domain,
        situation=latents.situation,
        action=latents.action,
        valence=_valence(latents),
        form=latents.form,
        genre=latents.genre,
        tone=latents.tone,
        reason_present=latents.reason_present,
        inner_state=bool(latents.inner_state),
        distance=-1 if latents.distance is None else latents.distance,
    )


def _valence(latents: Latents) -> str:
    if latents.bad is None:
        return ""
    return "bad" if latents.bad else "good"

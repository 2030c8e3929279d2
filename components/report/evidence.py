"""Everything that the page is made of, read once."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from components.report.readings import Comparison, ModelReport, read_as
from parable.artifact import Artifact, Manifest, Product, read_manifest
from parable.catalog import Catalog
from parable.errors import UserError
from parable.recipe import Recipe
from parable.store import ObjectStore

Model = tuple[str, int]
"""An arm and a seed."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of training: who went through it, and its losses by tokens read."""

    arms: tuple[str, ...]
    seed: int
    curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A recipe and what came of it."""

    recipe: Recipe
    catalog: Catalog
    comparison: Comparison
    reports: Mapping[Model, ModelReport]
    manifests: Mapping[Artifact, Manifest]
    """Every product of the experiment, with all that it descends from."""
    segments: tuple[Segment, ...]


def gather(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> Evidence:
    """Read what the page shows.

    Raises:
        UserError: an earlier stage has not finished, or a product is damaged.
    """
    comparison = Product(store, catalog.find("comparison"))
    models = [(arm, seed) for arm in recipe.arms for seed in recipe.seeds]
    reports = {
        (arm, seed): read_as(
            ModelReport, Product(store, catalog.find(f"evaluation/{arm}", seed)), "report.json"
        )
        for arm, seed in models
    }
    manifests = _with_ancestors(store, catalog)
    return Evidence(
        recipe=recipe,
        catalog=catalog,
        comparison=read_as(Comparison, comparison, "comparison.json"),
        reports=reports,
        manifests=manifests,
        segments=_segments(store, catalog, models, manifests),
    )


def _with_ancestors(store: ObjectStore, catalog: Catalog) -> dict[Artifact, Manifest]:
    found: dict[Artifact, Manifest] = {}
    todo = sorted(set(catalog.values()))
    while todo:
        artifact = todo.pop()
        if artifact in found:
            continue
        manifest = read_manifest(store, artifact)
        if manifest is None:
            raise UserError(
                f"The store {store.uri} holds no finished {artifact}, which this experiment descends from. "
                "Run the recipe again; what is missing is made anew."
            )
        found[artifact] = manifest
        todo += manifest.parents.values()
    return dict(sorted(found.items()))


def _segments(
    store: ObjectStore, catalog: Catalog, models: list[Model], manifests: Mapping[Artifact, Manifest]
) -> tuple[Segment, ...]:
    """Each segment once, in the order in which the arms first go through it."""
    users: dict[Artifact, list[Model]] = {}
    for arm, seed in models:
        for segment in _past(catalog.find(f"model/{arm}", seed), manifests):
            users.setdefault(segment, []).append((arm, seed))
    return tuple(
        Segment(tuple(arm for arm, _ in through), through[0][1], _curve(Product(store, segment)))
        for segment, through in users.items()
    )


def _past(last: Artifact, manifests: Mapping[Artifact, Manifest]) -> list[Artifact]:
    """A model's segments, first to last."""
    chain = [last]
    while parents := [one for one in manifests[chain[0]].parents.values() if one.kind == last.kind]:
        chain.insert(0, parents[0])
    return chain


def _curve(segment: Product) -> tuple[tuple[float, float], ...]:
    if "metrics.jsonl" not in set(segment.files()):
        return ()
    lines = map(orjson.loads, segment.read("metrics.jsonl").splitlines())
    return tuple((float(line["tokens"]), float(line["loss"])) for line in lines)

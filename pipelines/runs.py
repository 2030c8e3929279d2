"""Where a recipe's results are: pointers that are rewritten at every run, outside every seal."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from parable.artifact import Artifact, Product, read_manifest
from parable.canonical import readable_json
from parable.catalog import Catalog
from parable.recipe import Recipe
from parable.store import LocalStore, ObjectStore

RUNS = "runs/"
RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True)
class Run:
    """The newest run of a recipe: its settings, and the catalog of what it consists of."""

    name: str
    title: str
    fingerprint: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    catalog: Catalog

    @property
    def report(self) -> Artifact | None:
        """The page, where there is one."""
        return self.catalog.get("report")


def record_run(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> None:
    """Point at what a run made, as a whole and for every arm and seed."""
    folder = f"{RUNS}{recipe.name}"
    for arm in recipe.arms:
        for seed in recipe.seeds:
            model = catalog.find(f"model/{arm}", seed)
            pointer = {
                "model": model.key,
                "segments": [segment.key for segment in _past(store, model)],
                "evaluation": catalog.find(f"evaluation/{arm}", seed).key,
                "mixture": catalog.find(f"mixture/{arm}", seed).key,
            }
            store.put(f"{folder}/{arm}/seed-{seed}.json", readable_json(pointer))
    plain = {
        "recipe": recipe.to_plain(),
        "fingerprint": recipe.fingerprint(),
        "catalog": {role: artifact.key for role, artifact in catalog.items()},
    }
    store.put(f"{folder}/{RUN_FILE}", readable_json(plain))


def read_runs(store: ObjectStore) -> Iterator[Run]:
    """Every recipe's newest run, by name."""
    for info in store.list(RUNS):
        if info.key.endswith(f"/{RUN_FILE}"):
            plain: dict[str, Any] = orjson.loads(store.get(info.key))
            yield Run(
                name=plain["recipe"]["name"],
                title=plain["recipe"]["title"],
                fingerprint=plain["fingerprint"],
                arms=tuple(plain["recipe"]["arms"]),
                seeds=tuple(plain["recipe"]["seeds"]),
                catalog=Catalog({role: Artifact.parse(key) for role, key in plain["catalog"].items()}),
            )


def page_address(store: ObjectStore, catalog: Catalog, recipe: Recipe) -> str:
    """The path of the report's page on this machine; a page in a remote store is copied here first."""
    report = Product(store, catalog.find("report"))
    if isinstance(store, LocalStore):
        return str(store.path(f"{report.artifact.key}/index.html"))
    target = Path(f"{recipe.name}-{report.artifact.id[:8]}.html").resolve()
    target.write_bytes(report.read("index.html"))
    return str(target)


def _past(store: ObjectStore, model: Artifact) -> list[Artifact]:
    """The segments that a model is made of, the first one first."""
    chain: list[Artifact] = []
    current: Artifact | None = model
    while current is not None:
        chain.append(current)
        manifest = read_manifest(store, current)
        parents = manifest.parents.values() if manifest else ()
        current = next((parent for parent in parents if parent.kind == model.kind), None)
    return chain[::-1]

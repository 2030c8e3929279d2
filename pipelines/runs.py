"""What a recipe's runs have come to: the newest that ended, and what has begun since."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from parable.artifact import Artifact, Product, exists
from parable.canonical import readable_json
from parable.catalog import Catalog
from parable.recipe import Recipe
from parable.runs import RUN_FILE, RUNS, ArmPointer, read_pointers
from parable.store import LocalStore, ObjectStore


@dataclass(frozen=True, slots=True)
class Run:
    """The newest run of a recipe: its settings, and the catalog of what it consists of."""

    name: str
    title: str
    fingerprint: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    catalog: Catalog
    ended_seconds: float
    """When, by the store's clock."""

    @property
    def report(self) -> Artifact | None:
        """The page, where there is one."""
        return self.catalog.get("report")


@dataclass(frozen=True, slots=True)
class BegunRun:
    """A run whose training was planned and that has no report: it goes on, or was stopped."""

    recipe: str
    num_models: int
    num_trained: int

    def __str__(self) -> str:
        """What a person ought to know."""
        return (
            f"{self.recipe} has begun and not ended: {self.num_trained} of {self.num_models} models are "
            "trained. If nothing is working on it, `parable run` goes on from there."
        )


def record_run(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> None:
    """Say what a run that has ended consists of. What its arms are made of, training has said."""
    plain = {
        "recipe": recipe.to_plain(),
        "fingerprint": recipe.fingerprint(),
        "catalog": {role: artifact.key for role, artifact in catalog.items()},
    }
    store.put(f"{RUNS}{recipe.name}/{RUN_FILE}", readable_json(plain))


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
                ended_seconds=info.modified_seconds,
            )


def begun_arms(store: ObjectStore) -> list[ArmPointer]:
    """Arms whose training was planned after the last end of a run of their recipe."""
    ended = {run.name: run.ended_seconds for run in read_runs(store)}
    return [
        pointer
        for pointer, seconds in read_pointers(store).items()
        if pointer.recipe not in ended or seconds > ended[pointer.recipe]
    ]


def begun_runs(store: ObjectStore) -> list[BegunRun]:
    """Runs that have begun and not ended, by recipe; one whose models are those there were is none."""
    ended = {run.name: run for run in read_runs(store)}
    arms: dict[str, list[ArmPointer]] = defaultdict(list)
    for pointer in begun_arms(store):
        arms[pointer.recipe].append(pointer)
    return [
        BegunRun(recipe, len(arm), sum(exists(store, pointer.segments[-1]) for pointer in arm))
        for recipe, arm in arms.items()
        if not all(_is_of(ended.get(recipe), pointer) for pointer in arm)
    ]


def _is_of(run: Run | None, pointer: ArmPointer) -> bool:
    role = f"model/{pointer.arm}/seed-{pointer.seed}"
    return run is not None and run.catalog.get(role) == pointer.segments[-1]


def page_address(store: ObjectStore, catalog: Catalog, recipe: Recipe) -> str:
    """The path of the report's page on this machine; a page in a remote store is copied here first."""
    report = Product(store, catalog.find("report"))
    if isinstance(store, LocalStore):
        return str(store.path(f"{report.artifact.key}/index.html"))
    target = Path(f"{recipe.name}-{report.artifact.id[:8]}.html").resolve()
    target.write_bytes(report.read("index.html"))
    return str(target)

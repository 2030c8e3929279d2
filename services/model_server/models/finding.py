"""Looks through a store for sealed checkpoints, again and again; what was read once is not read again."""

import logging
from dataclasses import dataclass
from typing import Any

import orjson

from parable.artifact import MANIFEST, Artifact, Manifest
from parable.canonical import digest
from parable.errors import UserError
from parable.runs import RUN_FILE, RUNS, ArmPointer
from parable.store import NotFoundError, ObjectInfo, ObjectStore
from services.model_server.models.checkpoint import CONFIG, Checkpoint, model_folders, read_checkpoint
from services.model_server.models.index import Index, Pointer, RunFacts, build_index
from services.model_server.models.names import PRODUCTS, ArmName, parse_name

NUM_READS = 3
"""How often an object is read that keeps its size and time: a store's clock may tell no two writes apart."""
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Read:
    """An object of `runs/` as it was read last."""

    info: ObjectInfo
    plain: Any
    count: int = 1


class Finder:
    """Finds what is sealed. Not for two threads at once."""

    def __init__(self, store: ObjectStore) -> None:
        """Look through a store."""
        self._store = store
        self._products: dict[ObjectInfo, tuple[Checkpoint, ...]] = {}
        self._runs: dict[str, _Read] = {}

    def find(self) -> Index:
        """What is there now: two listings, and the objects that are new.

        Raises:
            UserError: the store can't be reached.
        """
        products = self._find_products()
        pointers, runs = self._find_runs()
        return build_index(
            pointers, runs, {inside[0].artifact: inside for inside in products.values() if inside}
        )

    def _find_products(self) -> dict[ObjectInfo, tuple[Checkpoint, ...]]:
        found = {}
        for info in self._store.list(f"{PRODUCTS}/"):
            kind, _, rest = info.key.partition("/")
            name, _, file = rest.partition("/")
            if file == MANIFEST:
                known = self._products.get(info)
                found[info] = self._read_product(Artifact(kind, name), info) if known is None else known
        self._products = found
        return found

    def _read_product(self, artifact: Artifact, info: ObjectInfo) -> tuple[Checkpoint, ...]:
        """The checkpoints in a product; one that is damaged has none."""
        try:
            data = self._store.get(info.key)
        except NotFoundError:
            return ()  # Removed since it was listed.
        try:
            manifest = Manifest.from_bytes(data, artifact)
        except UserError as error:
            logger.warning("%s is not served: %s", artifact, error)
            return ()
        inside = []
        for folder in model_folders(manifest):
            try:
                config = self._read_config(manifest, folder)
                inside.append(read_checkpoint(manifest, folder, config=config, created=info.modified_seconds))
            except UserError:
                raise  # The store, not the product.
            except (NotFoundError, TypeError, ValueError) as error:
                logger.warning("%s/%s is not served: %r", artifact, folder, error)
        return tuple(inside)

    def _read_config(self, manifest: Manifest, folder: str) -> bytes:
        path = f"{folder}/{CONFIG}"
        data = self._store.get(f"{manifest.artifact.key}/{path}")
        if digest(data) != manifest.files[path].sha256:
            raise ValueError(f"{path} is not what was sealed")
        return data

    def _find_runs(self) -> tuple[list[Pointer], list[RunFacts]]:
        pointers: list[Pointer] = []
        runs: list[RunFacts] = []
        found = {}
        for info in self._store.list(RUNS):
            read = self._read_run(info)
            if read is None:
                continue
            found[info.key] = read
            try:
                self._take(info, read.plain, pointers, runs)
            except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
                if read is not self._runs.get(info.key):
                    logger.warning("%s is passed over: %r", info.key, error)
        self._runs = found
        return pointers, runs

    def _read_run(self, info: ObjectInfo) -> _Read | None:
        known = self._runs.get(info.key)
        count = known.count if known is not None and known.info == info else 0
        if known is not None and count >= NUM_READS:
            return known
        try:
            plain = orjson.loads(self._store.get(info.key))
        except (NotFoundError, orjson.JSONDecodeError):
            return None
        return _Read(info, plain, count + 1)

    @staticmethod
    def _take(info: ObjectInfo, plain: Any, pointers: list[Pointer], runs: list[RunFacts]) -> None:
        if info.key.endswith(f"/{RUN_FILE}"):
            runs.append(_facts(info, plain))
            return
        pointer = ArmPointer.parse(info.key, plain)
        name = parse_name(f"{pointer.recipe}.{pointer.arm}.seed-{pointer.seed}")
        if isinstance(name, ArmName):
            pointers.append(Pointer(name=name, segments=pointer.segments, modified=info.modified_seconds))


def _facts(info: ObjectInfo, plain: Any) -> RunFacts:
    settings = plain["recipe"]
    recipe = info.key.removeprefix(RUNS).removesuffix(f"/{RUN_FILE}")
    models = {}
    for role, key in plain["catalog"].items():
        kind, _, rest = role.partition("/")
        name = parse_name(f"{recipe}.{rest.replace('/', '.')}") if kind == "model" else None
        if isinstance(name, ArmName):
            models[name] = Artifact.parse(key)
    return RunFacts(
        recipe=recipe,
        baseline=settings["report"]["baseline"],
        first_seed=int(settings["seeds"][0]),
        models=models,
        modified=info.modified_seconds,
    )

"""What a store holds, where it came from, and what of it can go."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from parable.artifact import MANIFEST, Artifact, Manifest, read_manifest
from parable.errors import UserError
from parable.lease import being_written
from parable.runs import read_pointers
from parable.store import ObjectStore
from pipelines.runs import begun_arms, read_runs

PRODUCT_KINDS = (
    "corpora", "tokenizers", "tokens", "mixtures", "segments", "evaluations", "comparisons", "reports",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Holding:
    """One product in a store, sealed or not."""

    artifact: Artifact
    num_bytes: int
    num_files: int
    sealed: bool


def holdings(store: ObjectStore) -> list[Holding]:
    """Every product in a store, by kind and id."""
    sizes: dict[Artifact, list[int]] = defaultdict(lambda: [0, 0])
    sealed = set()
    for kind in PRODUCT_KINDS:
        for info in store.list(f"{kind}/"):
            _, name, path = info.key.split("/", 2)
            artifact = Artifact(kind, name)
            sizes[artifact][0] += info.num_bytes
            sizes[artifact][1] += 1
            if path == MANIFEST:
                sealed.add(artifact)
    return [
        Holding(artifact, num_bytes, num_files, artifact in sealed)
        for artifact, (num_bytes, num_files) in sizes.items()
    ]


def resolve(store: ObjectStore, text: str) -> Artifact:
    """The product that a person means by `kind/id`, an id, or the beginning of one.

    Raises:
        UserError: none fits, or more than one does.
    """
    wanted = text.strip("/")
    found = [
        h.artifact for h in holdings(store) if h.artifact.key == wanted or h.artifact.id.startswith(wanted)
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise _unknown(store, text)
    some = ", ".join(str(artifact) for artifact in found[:4])
    raise UserError(f"{text!r} may be {some}{' or others' if len(found) > 4 else ''}: give more of its id.")


def _unknown(store: ObjectStore, text: str) -> UserError:
    for pointer in read_pointers(store):
        for segment in pointer.segments:
            if text and (segment.key == text or segment.id.startswith(text)):
                return UserError(
                    f"{segment} is planned for {pointer.recipe}, {pointer.arm} with seed {pointer.seed}, and "
                    "not trained yet. If nothing is working on it, `parable run` with that recipe trains it."
                )
    return UserError(f"{store.uri} holds no product {text!r}. `parable list --all` shows what it holds.")


def lineage(store: ObjectStore, artifact: Artifact) -> dict[Artifact, Manifest | None]:
    """A product and all that it came from, each with its manifest (None where it is gone)."""
    found: dict[Artifact, Manifest | None] = {}
    todo = [artifact]
    while todo:
        current = todo.pop()
        if current not in found:
            found[current] = manifest = read_manifest(store, current)
            todo.extend(manifest.parents.values() if manifest else ())
    return found


def unfinished(store: ObjectStore) -> list[str]:
    """Keys that no finished product needs: parts of unsealed ones, restart files and leases.

    Raises:
        UserError: a run is going on in this store, and needs them.
    """
    alive = being_written(store)
    if alive:
        raise UserError(
            f"A run is writing in {store.uri} ({', '.join(alive[:3])}). Wait until it has ended, or stop it; "
            "one that was killed on another machine is given up after a minute."
        )
    keys = [
        info.key
        for holding in holdings(store)
        if not holding.sealed
        for info in store.list(f"{holding.artifact.key}/")
    ]
    for prefix in ("scratch/", "leases/"):
        keys += [info.key for info in store.list(prefix)]
    return keys


def unused(store: ObjectStore) -> list[Artifact]:
    """Sealed products that no recipe's newest run consists of or came from, ended or only begun."""
    roots = [artifact for run in read_runs(store) for artifact in run.catalog.values()]
    for pointer in begun_arms(store):
        roots += [*pointer.segments, *([pointer.mixture] if pointer.mixture else [])]
    used: set[Artifact] = set()
    for artifact in roots:
        if artifact not in used:
            used |= set(lineage(store, artifact))
    return [
        holding.artifact for holding in holdings(store) if holding.sealed and holding.artifact not in used
    ]


def remove(store: ObjectStore, artifacts: Iterable[Artifact]) -> int:
    """Remove products, the manifest first so that none is ever taken for whole; the bytes that went."""
    num_bytes = 0
    for artifact in artifacts:
        store.delete(f"{artifact.key}/{MANIFEST}")
        for info in list(store.list(f"{artifact.key}/")):
            num_bytes += info.num_bytes
            store.delete(info.key)
    return num_bytes

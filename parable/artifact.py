"""The identity of any product, and the one way to make a product and to read it.

A product is a folder in the store that ends with a sealed `manifest.json`. Its name is a hash of what
determines its bytes, so one that exists need not be made again. Without a valid manifest it does not
exist; its finished files are what a killed writer goes on from.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from parable.canonical import canonical_json, digest, fingerprint, readable_json
from parable.errors import UserError
from parable.lease import Lease
from parable.store import AlreadyExistsError, LocalStore, NotFoundError, ObjectStore

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1
Plain = Any
"""What JSON can hold."""


@dataclass(frozen=True, slots=True, order=True)
class Artifact:
    """The address of a product: its kind is the folder, its id the hash of what determines it."""

    kind: str
    id: str

    @property
    def key(self) -> str:
        """The folder in the store."""
        return f"{self.kind}/{self.id}"

    def __str__(self) -> str:
        """The same as the key."""
        return self.key

    @classmethod
    def parse(cls, key: str) -> "Artifact":
        """The inverse of `key`.

        Raises:
            ValueError: the text is not `kind/id`.
        """
        kind, separator, name = key.partition("/")
        if not (kind and separator and name) or "/" in name:
            raise ValueError(f"{key!r} is no artifact: write kind/id")
        return cls(kind, name)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What determines a product, before it is made.

    `config` is the stage's part of the recipe and whatever else changes the bytes (numerics, versions);
    `parents` are the products it reads, by role.
    """

    kind: str
    stage: str
    stage_version: int
    config: Plain
    parents: Mapping[str, Artifact] = field(default_factory=dict)

    @property
    def artifact(self) -> Artifact:
        """The product that this will be."""
        identity = {
            "stage": self.stage,
            "stage_version": self.stage_version,
            "config": self.config,
            "parents": {role: parent.key for role, parent in self.parents.items()},
        }
        return Artifact(self.kind, fingerprint([self.kind, identity]))


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One file of a product as its manifest describes it."""

    path: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A sealed product's description; `summary` holds its own figures (rows, tokens, rates)."""

    artifact: Artifact
    stage: str
    stage_version: int
    config: Plain
    parents: Mapping[str, Artifact]
    files: Mapping[str, SealedFile]
    summary: Mapping[str, Plain]

    def to_bytes(self) -> bytes:
        """The JSON at rest, with a digest of its own content."""
        plain = orjson.loads(canonical_json(self.to_plain()))
        return readable_json({**plain, "seal": digest(canonical_json(plain))})

    def to_plain(self) -> Plain:
        """What the manifest says."""
        return {
            "format": MANIFEST_FORMAT,
            "kind": self.artifact.kind,
            "id": self.artifact.id,
            "stage": self.stage,
            "stage_version": self.stage_version,
            "config": self.config,
            "parents": {role: parent.key for role, parent in self.parents.items()},
            "files": [
                {"path": file.path, "bytes": file.num_bytes, "sha256": file.sha256}
                for _, file in sorted(self.files.items())
            ],
            "summary": dict(self.summary),
        }

    @classmethod
    def from_bytes(cls, data: bytes, artifact: Artifact) -> "Manifest":
        """Read what `to_bytes` wrote.

        Raises:
            UserError: the bytes are no manifest, or another product's.
        """
        try:
            plain = orjson.loads(data)
            seal = plain.pop("seal")
            files = [SealedFile(entry["path"], entry["bytes"], entry["sha256"]) for entry in plain["files"]]
            manifest = cls(
                artifact=Artifact(plain["kind"], plain["id"]),
                stage=plain["stage"],
                stage_version=plain["stage_version"],
                config=plain["config"],
                parents={role: Artifact.parse(key) for role, key in plain["parents"].items()},
                files={file.path: file for file in files},
                summary=plain["summary"],
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _corrupt(artifact, MANIFEST, "is not a manifest") from error
        if seal != digest(canonical_json(plain)):
            raise _corrupt(artifact, MANIFEST, "is not what was sealed")
        if manifest.artifact != artifact or plain.get("format") != MANIFEST_FORMAT:
            raise _corrupt(artifact, MANIFEST, f"describes {manifest.artifact}, format {plain.get('format')}")
        return manifest


def read_manifest(store: ObjectStore, artifact: Artifact) -> Manifest | None:
    """The manifest of a sealed product, or None where there is none."""
    try:
        data = store.get(f"{artifact.key}/{MANIFEST}")
    except NotFoundError:
        return None
    return Manifest.from_bytes(data, artifact)


def exists(store: ObjectStore, artifact: Artifact) -> bool:
    """Whether a sealed product is there."""
    return store.stat(f"{artifact.key}/{MANIFEST}") is not None


class Product:
    """A sealed product, read with every byte verified against its manifest."""

    def __init__(self, store: ObjectStore, artifact: Artifact) -> None:
        """Open a product.

        Raises:
            UserError: it is not there, or its manifest is damaged.
        """
        manifest = read_manifest(store, artifact)
        if manifest is None:
            raise UserError(
                f"The store {store.uri} holds no finished {artifact}. Run the recipe that makes it, or name "
                "the store that has it with --store."
            )
        self.store = store
        self.artifact = artifact
        self.manifest = manifest

    @property
    def summary(self) -> Mapping[str, Plain]:
        """The product's own figures."""
        return self.manifest.summary

    def files(self, prefix: str = "") -> Iterator[str]:
        """Paths of the product's files under a prefix, in order."""
        return (path for path in sorted(self.manifest.files) if path.startswith(prefix))

    def read(self, path: str) -> bytes:
        """One file's bytes.

        Raises:
            UserError: the file is not in the product, is gone, or is not what was sealed.
        """
        sealed = self._sealed(path)
        try:
            data = self.store.get(f"{self.artifact.key}/{path}")
        except NotFoundError as error:
            raise _corrupt(self.artifact, path, "is missing") from error
        if len(data) != sealed.num_bytes or digest(data) != sealed.sha256:
            raise _corrupt(self.artifact, path, "is not what was sealed")
        return data

    def read_json(self, path: str) -> Plain:
        """One JSON file's content; raises as `read` does."""
        return orjson.loads(self.read(path))

    def local_path(self, path: str, cache: Path) -> Path:
        """A file on this machine with the sealed bytes, fit to map into memory.

        A folder store's own file is used as it is; anything else is copied to `cache` once. Both are
        verified. Raises as `read` does.
        """
        sealed = self._sealed(path)
        key = f"{self.artifact.key}/{path}"
        if isinstance(self.store, LocalStore):
            target = self.store.path(key)
        else:
            target = cache / key
            if not _holds(target, sealed):
                self._copy(key, path, target)
        if not _holds(target, sealed):
            what = "is not what was sealed" if target.is_file() else "is missing"
            raise _corrupt(self.artifact, path, what)
        return target

    def _copy(self, key: str, path: str, target: Path) -> None:
        try:
            self.store.get_file(key, target)
        except NotFoundError as error:
            raise _corrupt(self.artifact, path, "is missing") from error

    def _sealed(self, path: str) -> SealedFile:
        sealed = self.manifest.files.get(path)
        if sealed is None:
            raise UserError(
                f"{self.artifact} has no file {path!r}; it has {', '.join(self.files()) or 'none'}."
            )
        return sealed


class ProductWriter:
    """Writes the files of one product; only `build` makes and seals one."""

    def __init__(self, store: ObjectStore, blueprint: Blueprint, lease: Lease) -> None:
        """Start, or go on with, the product of a blueprint under its lease."""
        self.store = store
        self.blueprint = blueprint
        self.artifact = blueprint.artifact
        self.summary: dict[str, Plain] = {}
        """Figures for the manifest; nothing that depends on clock, host, path or speed."""
        self._lease = lease
        self._files: dict[str, SealedFile] = {}

    def put(self, path: str, data: bytes) -> None:
        """Write one file of the product, whole."""
        self._lease.check()
        self.store.put(f"{self.artifact.key}/{path}", data)
        self._files[path] = SealedFile(path, len(data), digest(data))

    def put_json(self, path: str, value: Plain) -> None:
        """Write one JSON file of the product."""
        self.put(path, readable_json(value))

    def resume(self, path: str) -> bytes | None:
        """The bytes of a file that an earlier, killed writer finished; it then counts as written.

        A put is whole or absent, so what is there is what this product's writer meant: the artifact's
        id names everything that determines it.
        """
        try:
            data = self.store.get(f"{self.artifact.key}/{path}")
        except NotFoundError:
            return None
        self._files[path] = SealedFile(path, len(data), digest(data))
        return data

    def scratch_key(self, path: str) -> str:
        """A key for what a writer keeps for its own restart; `build` removes it after the seal."""
        return f"scratch/{self.artifact.key}/{path}"

    def _seal(self) -> None:
        self._lease.check()
        manifest = Manifest(
            artifact=self.artifact,
            stage=self.blueprint.stage,
            stage_version=self.blueprint.stage_version,
            config=self.blueprint.config,
            parents=self.blueprint.parents,
            files=self._files,
            summary=self.summary,
        )
        prefix = f"{self.artifact.key}/"
        for info in list(self.store.list(prefix)):
            if info.key.removeprefix(prefix) not in {*self._files, MANIFEST}:
                self.store.delete(info.key)
        try:
            self.store.put(prefix + MANIFEST, manifest.to_bytes(), if_absent=True)
        except AlreadyExistsError:
            # Another writer took the lease over between the check and here. Equal bytes are no harm.
            if self.store.get(prefix + MANIFEST) != manifest.to_bytes():
                raise UserError(
                    f"{self.artifact} was made twice at once, with different bytes: two machines that differ "
                    "wrote to one store. Remove it with `parable clean`, and run one of them again."
                ) from None
        for info in list(self.store.list(self.scratch_key(""))):
            self.store.delete(info.key)


def build(store: ObjectStore, blueprint: Blueprint, make: Callable[[ProductWriter], None]) -> Artifact:
    """Return the product of a blueprint, making it where it does not exist.

    `make` writes the files through the writer it is given; they are sealed when it returns. An exception
    or a kill leaves finished files and no manifest, and the next `build` goes on from there. One writer
    at a time: another process that builds the same product is waited for.
    """
    artifact = blueprint.artifact
    if read_manifest(store, artifact) is not None:
        return artifact
    with Lease.acquire(store, artifact.key) as lease:
        if read_manifest(store, artifact) is None:
            writer = ProductWriter(store, blueprint, lease)
            make(writer)
            writer._seal()
    return artifact


def _holds(path: Path, sealed: SealedFile) -> bool:
    """Whether a file has the sealed bytes; reads it piece by piece."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sealed.sha256
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return False


def _corrupt(artifact: Artifact, path: str, what: str) -> UserError:
    return UserError(
        f"{artifact}/{path} {what}: the product is damaged. Remove it with `parable clean {artifact}` and "
        "run the recipe again; only what is missing is made anew."
    )

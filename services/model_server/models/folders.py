"""Checkpoints on this machine: copied to a temporary place, verified, and only then put in use."""

import hashlib
import secrets
import shutil
import threading
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath

from parable.artifact import SealedFile
from parable.errors import UserError
from parable.process import is_running, own_name, pid_space
from parable.store import NotFoundError, ObjectStore
from parable.store.base import check_key
from services.model_server.models.base import ModelUnavailableError, NoRoomError
from services.model_server.models.checkpoint import CONFIG, WEIGHTS, Checkpoint

PREFIX = "models-"
TOKENIZER = "tokenizer.json"
NEEDED = (CONFIG, TOKENIZER)
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


class CheckpointRefusedError(ModelUnavailableError):
    """The checkpoint itself is wrong: it would be refused again."""


class ModelFolders:
    """Verified copies of checkpoints, one folder each, within a limit of bytes. Safe for several threads.

    The folders are this process's own; those that killed processes have left in the same place are removed.
    """

    def __init__(self, store: ObjectStore, place: Path, *, limit_bytes: int) -> None:
        """Use a folder, which is made where it does not exist."""
        self._store = store
        self._limit = limit_bytes
        place.mkdir(parents=True, exist_ok=True)
        _sweep(place)
        self._root = place / f"{PREFIX}{own_name()}-{secrets.token_hex(4)}"
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()

    def find(self, checkpoint: Checkpoint) -> Path | None:
        """The folder of a checkpoint that is here already."""
        path = self._root / checkpoint.content
        return path if path.is_dir() else None

    def fetch(self, checkpoint: Checkpoint, *, in_use: Callable[[], Collection[str]]) -> Path:
        """The folder of a checkpoint, copied and verified where it is not here yet.

        Args:
            checkpoint: what is wanted.
            in_use: gives the contents whose folders must stay.

        Raises:
            CheckpointRefusedError: a file is damaged, missing, or a pickle.
            NoRoomError: the folders in use leave too little of the limit.
            ModelUnavailableError: the store does not answer, or the disk is full.
        """
        check_files(checkpoint)
        content = checkpoint.content
        with self._lock:
            if (found := self.find(checkpoint)) is not None:
                self._sizes[content] = self._sizes.pop(content)  # The last one is the last to go.
                return found
            self._make_room(checkpoint, in_use())
            self._sizes[content] = checkpoint.num_bytes
        try:
            return self._copy(checkpoint)
        except BaseException:
            with self._lock:
                self._sizes.pop(content, None)
            raise

    def remove(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self._root, ignore_errors=True)

    def _copy(self, checkpoint: Checkpoint) -> Path:
        temporary = self._root / f"arriving-{secrets.token_hex(8)}"
        try:
            for path, file in sorted(checkpoint.files.items()):
                self._copy_file(checkpoint, path, file, temporary / path)
            target = self._root / checkpoint.content
            if not target.is_dir():  # Else whoever gave up on it was not heard.
                temporary.rename(target)
            return target
        except UserError as error:
            raise ModelUnavailableError(
                f"{checkpoint.pinned} can't be loaded now: the object store does not answer. Models that are "
                "loaded go on answering."
            ) from error
        except OSError as error:
            raise ModelUnavailableError(
                f"{checkpoint.pinned} can't be loaded: its files can't be kept here ({error.strerror})."
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _copy_file(self, checkpoint: Checkpoint, path: str, sealed: SealedFile, target: Path) -> None:
        key = f"{checkpoint.artifact.key}/{checkpoint.folder}/{path}"
        try:
            self._store.get_file(key, target)
        except NotFoundError as error:
            raise refusal(checkpoint, f"its {path} is missing") from error
        with target.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sealed.sha256:
                raise refusal(checkpoint, f"its {path} is not what was sealed")

    def _make_room(self, checkpoint: Checkpoint, in_use: Collection[str]) -> None:
        for content in [content for content in self._sizes if content not in in_use]:
            if sum(self._sizes.values()) + checkpoint.num_bytes <= self._limit:
                return
            path = self._root / content
            if path.is_dir():  # Else it is just arriving.
                shutil.rmtree(path)
                del self._sizes[content]
        taken = sum(self._sizes.values())
        if taken + checkpoint.num_bytes > self._limit:
            raise NoRoomError(
                f"{checkpoint.pinned} takes {checkpoint.num_bytes:,} bytes on disk; the cache may hold "
                f"{self._limit:,}, and {taken:,} of them are in use. Raise the limit of the cache."
            )


def check_files(checkpoint: Checkpoint) -> None:
    """Refuse what has no safetensors, lacks a file, holds a pickle, or names a file outside its folder.

    Raises:
        CheckpointRefusedError: says which file.
    """
    for path in checkpoint.files:
        if PurePosixPath(path).suffix in PICKLES:
            raise refusal(
                checkpoint, f"its {path} is a pickle and could run code: export the model as safetensors"
            )
        try:
            check_key(path)
        except ValueError as error:
            raise refusal(checkpoint, f"it names the file {path!r}") from error
    for needed in NEEDED:
        if needed not in checkpoint.files:
            raise refusal(checkpoint, f"it has no {needed}")
    if not any(path.endswith(WEIGHTS) for path in checkpoint.files):
        raise refusal(checkpoint, f"it has no *{WEIGHTS}")


def refusal(checkpoint: Checkpoint, why: str) -> CheckpointRefusedError:
    """The sentence for a checkpoint that is not served."""
    return CheckpointRefusedError(f"{checkpoint.pinned} is refused: {why}.")


def _sweep(place: Path) -> None:
    for path in place.glob(f"{PREFIX}*"):
        space, _, rest = path.name.removeprefix(PREFIX).partition("-")
        pid, _, started = rest.rpartition("-")[0].partition("-")
        if space == pid_space() and (pid + started).isdigit() and not is_running(int(pid), int(started)):
            shutil.rmtree(path, ignore_errors=True)

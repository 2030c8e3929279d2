"""A folder as an object store: the embedded default."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR
from typing import BinaryIO

from parable.errors import UserError
from parable.store.base import (
    RESERVED,
    AlreadyExistsError,
    NotFoundError,
    ObjectInfo,
    check_key,
    check_prefix,
    check_range,
)
from parable.store.temporary import arriving, beside, is_left_behind

NUM_FOLDER_ATTEMPTS = 100
"""How often a put makes its folder again that a delete found empty and removed."""
MENDS = {
    errno.ENOSPC: "Free some disk, or choose another folder with --store",
    errno.EDQUOT: "Free some of your quota, or choose another folder with --store",
    errno.EACCES: "Choose a folder that you may read and write with --store",
    errno.EPERM: "Choose a folder that you may read and write with --store",
    errno.EROFS: "Choose a folder that you may write to with --store",
    errno.ENOTDIR: "In a folder no object can lie under another's key",
    errno.EISDIR: "In a folder no object can lie under another's key",
    errno.EEXIST: "In a folder no object can lie under another's key",
}
OTHER_MEND = "Check the disk, or choose another folder with --store"


class LocalStore:
    """Objects as files under one folder; a put is a rename, so it is atomic and survives `kill -9`."""

    def __init__(self, root: Path) -> None:
        """Open (and make, where absent) the folder.

        Raises:
            UserError: the folder can't be made or written to.
        """
        self.root = root.expanduser().resolve()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"The store {self.root} can't be used ({error.strerror}). Give a folder that you may "
                "write to with --store."
            ) from error
        if not os.access(self.root, os.W_OK):
            raise UserError(f"The store {self.root} is read-only for you. Give another with --store.")

    def __repr__(self) -> str:
        return f"LocalStore({self.uri!r})"

    @property
    def uri(self) -> str:
        """The folder as a `file://` address."""
        return self.root.as_uri()

    def path(self, key: str) -> Path:
        """The file that holds an object: lets readers map it into memory."""
        return self.root / check_key(key)

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        """See `ObjectStore.put`."""
        with self._publishing(key, if_absent=if_absent) as file:
            file.write(data)

    def put_file(self, key: str, path: Path) -> None:
        """See `ObjectStore.put_file`."""
        with path.open("rb") as source, self._publishing(key) as file:
            shutil.copyfileobj(source, file, 1 << 20)

    def get(self, key: str) -> bytes:
        """See `ObjectStore.get`."""
        with self._reading(key):
            return self.path(key).read_bytes()

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """See `ObjectStore.get_range`."""
        check_range(start, length)
        with self._reading(key), self.path(key).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def get_file(self, key: str, path: Path) -> None:
        """See `ObjectStore.get_file`."""
        with self._reading(key):
            source = self.path(key).open("rb")
        with source, arriving(path) as temporary, temporary.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)

    def stat(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.stat`."""
        path = self.path(key)
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if S_ISDIR(status.st_mode) else ObjectInfo(key, status.st_size, status.st_mtime)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`; what killed writers left half-written is removed on the way."""
        folder = self.root / check_prefix(prefix).rpartition("/")[0]
        found = []
        for parent, _, names in os.walk(folder):
            for name in names:
                path = Path(parent, name)
                if name.startswith(RESERVED):
                    if is_left_behind(path):
                        with suppress(OSError):
                            path.unlink()
                    continue
                key = path.relative_to(self.root).as_posix()
                if key.startswith(prefix):
                    found.append(key)
        for key in sorted(found):
            info = self.stat(key)
            if info is not None:
                yield info

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`; folders left empty go too."""
        path = self.path(key)
        try:
            path.unlink(missing_ok=True)
        except (NotADirectoryError, IsADirectoryError):
            return
        except OSError as error:
            raise self._trouble("delete", key, error) from error
        for folder in path.parents:
            if folder == self.root:
                break
            try:
                folder.rmdir()
            except OSError:
                break

    @contextmanager
    def _publishing(self, key: str, *, if_absent: bool = False) -> Iterator[BinaryIO]:
        """A file that becomes the object when the block ends well."""
        target = self.path(key)
        try:
            file = self._open_beside(target)
        except OSError as error:
            raise self._trouble("write", key, error) from error
        temporary = Path(file.name)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if if_absent:
                os.link(temporary, target)
            else:
                temporary.replace(target)
        except OSError as error:
            if if_absent and isinstance(error, FileExistsError):
                raise AlreadyExistsError(key) from error
            raise self._trouble("write", key, error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def _open_beside(self, target: Path) -> BinaryIO:
        trouble: OSError | None = None
        for _ in range(NUM_FOLDER_ATTEMPTS):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                return beside(target).open("xb")
            except (FileNotFoundError, FileExistsError) as error:
                trouble = error  # A delete took the empty folder away between the two.
        assert trouble is not None
        raise trouble

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise NotFoundError(key) from error
        except OSError as error:
            raise self._trouble("read", key, error) from error

    def _trouble(self, verb: str, key: str, error: OSError) -> UserError:
        mend = MENDS.get(error.errno or 0, OTHER_MEND)
        return UserError(
            f"The store {self.root} could not {verb} {key} ({error.strerror}). {mend}; what is finished "
            "is kept and the run goes on from there."
        )

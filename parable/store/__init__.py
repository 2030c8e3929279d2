"""Where products rest: one small protocol over a folder or any S3 endpoint."""

from parable.store.address import open_store
from parable.store.base import AlreadyExistsError, NotFoundError, ObjectInfo, ObjectStore
from parable.store.local import LocalStore

__all__ = ["AlreadyExistsError", "LocalStore", "NotFoundError", "ObjectInfo", "ObjectStore", "open_store"]

"""From an address to a store."""

import os
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from parable.errors import UserError
from parable.store.base import ObjectStore, check_prefix
from parable.store.local import LocalStore


def open_store(address: str) -> ObjectStore:
    """Open `file:///folder`, a plain folder, or `s3://bucket/prefix`.

    An S3 endpoint and its credentials come from the environment: `PARABLE_S3_ENDPOINT` (or
    `AWS_ENDPOINT_URL`), `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`.

    Raises:
        UserError: the address has another scheme, or what it names can't be used.
    """
    if not address.strip():
        raise UserError(
            "The store has an empty address. Use a folder, file:///folder, or s3://bucket/prefix."
        )
    parts = urlsplit(address)
    if parts.scheme not in ("s3", "file") and "://" not in address:
        return LocalStore(Path(address))
    if "@" in parts.netloc:
        raise UserError(
            f"The address of a store holds no credentials ({parts.scheme}://...@...). Write "
            "s3://bucket/prefix, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if parts.query or parts.fragment:
        raise UserError(
            f"The store {address!r} must hold no ? or #. Write file:///folder or s3://bucket/prefix."
        )
    if parts.scheme == "s3":
        return _open_bucket(address, parts)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return LocalStore(Path(unquote(parts.path)))
    if parts.scheme == "file":
        raise UserError(f"The store {address!r} is no folder of this machine. Write file:///folder.")
    raise UserError(
        f"The store {address!r} has the unknown scheme {parts.scheme!r}. Use a folder, file:///folder, "
        "or s3://bucket/prefix."
    )


def _open_bucket(address: str, parts: SplitResult) -> ObjectStore:
    from parable.store.minio import MinioStore

    if not parts.netloc:
        raise UserError(f"The store {address!r} names no bucket. Write s3://bucket/prefix.")
    prefix = parts.path.strip("/")
    try:
        check_prefix(prefix)
    except ValueError as error:
        raise UserError(f"The store {address!r} has no clean prefix: {error}.") from error
    return MinioStore.from_environment(parts.netloc, prefix, os.environ)

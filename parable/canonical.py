"""One way to turn plain data into bytes and bytes into a name."""

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Bytes that are equal for equal plain data: sorted keys, no spaces, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.encode()


def readable_json(value: Any) -> bytes:
    """Canonical content laid out for people: sorted keys, two spaces, a final line end."""
    return (json.dumps(value, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def fingerprint(value: Any, length: int = 20) -> str:
    """The first `length` hexadecimal digits of the digest of plain data: short enough to read out."""
    return digest(canonical_json(value))[:length]

"""One writer a product: a small object that says who writes, and for how long that may be believed.

A product's leases are numbered objects in a folder of its own; the highest number holds. Whoever finds its
holder gone writes the next number, which only one can (`if_absent`), and holds when the one it follows is
still there. A lease is removed only by its holder or by the one that followed it, so that nobody can take
away a fresh lease that it took for an old one.
"""

import os
import secrets
import socket
import threading
import time
from types import TracebackType
from typing import Any, NamedTuple

import orjson

from parable.canonical import readable_json
from parable.errors import UserError
from parable.process import is_running, pid_space, start_ticks
from parable.store import AlreadyExistsError, NotFoundError, ObjectInfo, ObjectStore

RENEW_SECONDS = 10.0
EXPIRE_SECONDS = 60.0
POLL_SECONDS = 0.5

_held: set[str] = set()
"""Tokens of the leases that this process holds or asks for."""


class Claim(NamedTuple):
    """A lease at rest."""

    number: int
    content: bytes

    @property
    def holder(self) -> dict[str, Any]:
        """What it says of its holder; nothing where it says nothing that can be read."""
        try:
            plain = orjson.loads(self.content)
        except orjson.JSONDecodeError:
            return {}
        return plain if isinstance(plain, dict) else {}

    @property
    def token(self) -> str | None:
        """What only its holder knows beforehand."""
        token = self.holder.get("token")
        return token if isinstance(token, str) else None

    def holder_is_gone(self) -> bool:
        """Whether the holder can't come back, as far as this host can tell."""
        try:
            pid, started = int(self.holder["pid"]), int(self.holder["started"])
            if self.holder["space"] != pid_space():
                return False
            # An outage can keep a holder in this very process from removing what it has given up.
            return not is_running(pid, started) or (pid == os.getpid() and self.token not in _held)
        except (KeyError, TypeError, ValueError):
            return True


class Lease:
    """The right to write one product, renewed in the background until it is released.

    A holder on this host whose process is gone loses its lease at once; one elsewhere, when the lease
    has not changed for `EXPIRE_SECONDS` by this host's own clock, so clocks need not agree.
    """

    def __init__(self, store: ObjectStore, folder: str, number: int, token: str) -> None:
        """Hold a lease that `acquire` wrote."""
        self._store = store
        self._folder = folder
        self._number = number
        self._token = token
        self._lost = threading.Event()
        self._stop = threading.Event()
        self._renewer = threading.Thread(target=self._renew, daemon=True, name=f"lease {folder}")
        self._renewer.start()

    @classmethod
    def acquire(cls, store: ObjectStore, product_key: str) -> "Lease":
        """Take the lease of a product, waiting for a living holder."""
        folder = lease_folder(product_key)
        token = secrets.token_hex(8)
        _held.add(token)
        seen, since = None, time.monotonic()
        while True:
            current = _newest(store, folder)
            if current != seen:
                seen, since = current, time.monotonic()
            if current is None or current.holder_is_gone() or time.monotonic() - since > EXPIRE_SECONDS:
                number = _claim(store, folder, token, after=current)
                if number is not None:
                    return cls(store, folder, number, token)
            else:
                time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raise `UserError` if another writer has taken over."""
        if self._lost.is_set():
            raise UserError(
                f"Another process took over {self._folder} while this one was not heard of for "
                f"{EXPIRE_SECONDS:.0f} s. Nothing is lost: run the same command again."
            )

    def release(self) -> None:
        """Give the product free."""
        self._stop.set()
        self._renewer.join()
        _held.discard(self._token)
        mine = _get(self._store, self._folder, self._number)
        if mine is not None and mine.token == self._token:
            self._store.delete(_key(self._folder, self._number))

    def __enter__(self) -> "Lease":
        """Hold it for the length of a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it; an outage of the store must not hide the error that ended the block."""
        try:
            self.release()
        except UserError:
            if error is None:
                raise

    def _is_followed(self) -> bool:
        # A claim that proves too late is there for a moment only: a follower is seen twice.
        first = _newest(self._store, self._folder)
        if (first is not None and first.token == self._token) or self._stop.wait(POLL_SECONDS):
            return False
        second = _newest(self._store, self._folder)
        if first is None or second is None:
            return second is None or second.token != self._token
        return second.token == first.token

    def _renew(self) -> None:
        count = 0
        while not self._stop.wait(RENEW_SECONDS):
            count += 1
            try:
                if self._is_followed():
                    self._lost.set()
                    return
                self._store.put(_key(self._folder, self._number), _content(self._token, count))
            except UserError:
                continue  # An outage: the writer's own puts will say so.


def lease_folder(product_key: str) -> str:
    """Where the leases of a product are kept; ends with a slash."""
    return f"leases/{product_key.replace('/', '-')}/"


def being_written(store: ObjectStore) -> list[str]:
    """Lease folders of the products that someone may be writing right now, by the store's clock."""
    newest: dict[str, ObjectInfo] = {}
    for info in store.list("leases/"):
        newest[info.key.rpartition("/")[0] + "/"] = info  # Keys come in order: the last one holds.
    alive = []
    for folder, info in newest.items():
        claim = _newest(store, folder)
        if claim and not claim.holder_is_gone() and time.time() - info.modified_seconds < EXPIRE_SECONDS:
            alive.append(folder)
    return alive


def _claim(store: ObjectStore, folder: str, token: str, *, after: Claim | None) -> int | None:
    """Try to hold the lease that follows another: its number, or None where somebody was quicker."""
    number = 0 if after is None else after.number + 1
    try:
        store.put(_key(folder, number), _content(token, 0), if_absent=True)
    except AlreadyExistsError:
        return None
    others = [other for other in _numbers(store, folder) if other != number]
    if any(other > number for other in others) or not (after is None or _is_there(store, folder, after)):
        store.delete(_key(folder, number))
        return None
    for other in others:
        store.delete(_key(folder, other))
    return number


def _is_there(store: ObjectStore, folder: str, claim: Claim) -> bool:
    found = _get(store, folder, claim.number)
    return found is not None and (found == claim or found.token == claim.token is not None)


def _get(store: ObjectStore, folder: str, number: int) -> Claim | None:
    try:
        return Claim(number, store.get(_key(folder, number)))
    except NotFoundError:
        return None


def _newest(store: ObjectStore, folder: str) -> Claim | None:
    while numbers := _numbers(store, folder):
        claim = _get(store, folder, numbers[-1])
        if claim is not None:
            return claim  # Otherwise it was released between the two.
    return None


def _numbers(store: ObjectStore, folder: str) -> list[int]:
    names = [info.key.removeprefix(folder).removesuffix(".json") for info in store.list(folder)]
    return sorted(int(name) for name in names if name.isdigit())


def _key(folder: str, number: int) -> str:
    return f"{folder}{number:06d}.json"


def _content(token: str, renewals: int) -> bytes:
    pid = os.getpid()
    return readable_json(
        {
            "token": token,
            "host": socket.gethostname(),
            "space": pid_space(),
            "pid": pid,
            "started": start_ticks(pid),
            "renewals": renewals,
        }
    )

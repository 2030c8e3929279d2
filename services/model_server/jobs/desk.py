"""Jobs as any replica reads them: the store alone says how they stand."""

import logging
from collections import OrderedDict
from dataclasses import dataclass

from pydantic import ValidationError

from services.model_server.jobs.records import (
    ENDS,
    REQUEST_KEY,
    REQUESTS,
    JobEnd,
    JobRequest,
    State,
    Unit,
    owner_folder,
)
from services.model_server.jobs.shelf import Shelf

logger = logging.getLogger(__name__)
KEPT_BYTES = 16 * 2**20
"""Requests that are kept at hand, as they rest in the store: in memory they take some ten times as much."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A job as listings show it: nothing of it is read."""

    owner_folder: str
    id: str
    created: float
    """Seconds since the epoch, by the store's clock."""

    @property
    def request_key(self) -> str:
        """Where its request is kept."""
        return f"{REQUESTS}{self.owner_folder}/{self.id}/request.json"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job stands.

    Attributes:
        done: Questions that are written down, by unit.
        parts: The same in parts.
        end: How it ended; None while it has not.
        claimed: Whether somebody has begun.
    """

    done: tuple[int, ...]
    parts: tuple[int, ...]
    end: JobEnd | None
    claimed: bool

    @property
    def state(self) -> State:
        """In one word."""
        if self.end is not None:
            return self.end.state
        return "running" if self.claimed else "queued"


class Desk:
    """Reads jobs; nothing here writes."""

    def __init__(self, shelf: Shelf) -> None:
        """Read from a shelf."""
        self.shelf = shelf
        self._requests: OrderedDict[str, tuple[JobRequest, int]] = OrderedDict()
        self._unreadable: set[str] = set()
        self._ended: set[str] = set()

    async def request(self, key: str) -> JobRequest | None:
        """A job's request, by its key; None too where this version can't read it."""
        if key in self._requests:
            self._requests.move_to_end(key)
            return self._requests[key][0]
        data = None if key in self._unreadable else await self.shelf.get(key)
        if data is None:
            return None
        try:
            found = JobRequest.model_validate_json(data)
        except ValidationError as error:
            logger.warning("%s is passed over: %s", key, error)
            self._unreadable.add(key)
            return None
        self._requests[key] = found, len(data)
        while sum(num_bytes for _, num_bytes in self._requests.values()) > KEPT_BYTES:
            self._requests.popitem(last=False)
        return found

    async def listed(self, owner: str | None) -> list[Listed]:
        """The jobs of an owner, or of all: the newest first."""
        prefix = REQUESTS if owner is None else f"{REQUESTS}{owner_folder(owner)}/"
        found = []
        for info in await self.shelf.list(prefix):
            if (parts := REQUEST_KEY.fullmatch(info.key)) is not None:  # Else it is none of ours.
                found.append(Listed(parts[1], parts[2], info.modified_seconds))
        return sorted(found, key=lambda one: (-one.created, one.id))

    async def unfinished(self, owner: str | None) -> list[Listed]:
        """Those that have not ended, the newest first."""
        prefix = ENDS if owner is None else f"{ENDS}{owner_folder(owner)}/"
        listed = await self.listed(owner)
        if any(one.id not in self._ended for one in listed):
            self._ended |= {info.key.split("/")[-2] for info in await self.shelf.list(prefix)}
        return [one for one in listed if one.id not in self._ended]

    async def end(self, job: JobRequest) -> JobEnd | None:
        """How a job ended; None while it has not."""
        data = await self.shelf.get(job.end_key)
        if data is None:
            return None
        self._ended.add(job.id)
        return JobEnd.model_validate_json(data)

    async def standing(self, job: JobRequest) -> Standing:
        """How a job stands."""
        end = await self.end(job)
        if end is not None and end.state == "completed":
            parts = tuple(unit.num_parts for unit in job.units)
            return Standing(tuple(unit.num_requests for unit in job.units), parts, end, claimed=True)
        keys = {info.key for info in await self.shelf.list(job.work)}
        parts = tuple(_num_parts(unit, keys) for unit in job.units)
        done = tuple(
            min(count * job.part_requests, unit.num_requests)
            for unit, count in zip(job.units, parts, strict=True)
        )
        return Standing(done, parts, end, claimed=any(key.startswith(job.claims) for key in keys))


def _num_parts(unit: Unit, keys: set[str]) -> int:
    """Parts from the first on without a gap: one is written when the one before it is there."""
    count = 0
    while count < unit.num_parts and unit.part_key(count) in keys:
        count += 1
    return count

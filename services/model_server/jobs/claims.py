"""Who works on a job: numbered objects, of which the highest holds for as long as it is renewed.

Whoever finds the holder gone writes the next number, which only one can (`if_absent`). A holder that was
slow and is followed has lost nothing: what it wrote counts, and what it would write is there already.
"""

import asyncio
import logging
import re
import secrets
import socket
import time
from collections.abc import Callable

from pydantic import Field

from parable.canonical import readable_json
from services.model_server.jobs.errors import StoreDownError
from services.model_server.jobs.options import JobOptions
from services.model_server.jobs.order import Plain
from services.model_server.jobs.records import JobRequest
from services.model_server.jobs.shelf import Shelf

MOST_FRUITLESS = 4
"""Holders in a row that vanish before they have written anything: then the job itself is to blame."""
_NAME = re.compile(r"([0-9]{6,})\.json")
logger = logging.getLogger(__name__)


class ClaimContent(Plain):
    """A claim at rest.

    Attributes:
        token: Known to its holder alone.
        host: For whoever looks.
        num_parts: Parts that were there when it was written.
        fruitless: Holders before this one that came and went since then.
        renewals: Changes with every sign of life.
        released: Whether the holder gave the job back.
    """

    token: str
    host: str
    num_parts: int = Field(ge=0)
    fruitless: int = Field(ge=0)
    renewals: int = Field(ge=0)
    released: bool = False


class Claim(Plain):
    """A claim and its number."""

    number: int
    content: ClaimContent


class ClaimWatch:
    """Tells which claims have stopped changing, by this machine's own clock: no two clocks need agree."""

    def __init__(self, expire_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """A claim that is seen unchanged for so long has expired."""
        self._expire = expire_seconds
        self._clock = clock
        self._seen: dict[str, tuple[Claim, float]] = {}

    def has_expired(self, job: str, claim: Claim) -> bool:
        """Whether the holder is gone, as far as this watch has seen."""
        now = self._clock()
        before = self._seen.get(job)
        if before is None or before[0] != claim:
            self._seen[job] = (claim, now)
            return claim.content.released
        return claim.content.released or now - before[1] > self._expire

    def keep_only(self, jobs: set[str]) -> None:
        """Forget the others."""
        self._seen = {job: seen for job, seen in self._seen.items() if job in jobs}


class HeldClaim:
    """A claim of this process."""

    def __init__(self, shelf: Shelf, job: JobRequest, claim: Claim) -> None:
        """Hold what `take` wrote."""
        self._shelf = shelf
        self._job = job
        self._claim = claim

    @property
    def fruitless(self) -> int:
        """Holders before this one that got nowhere."""
        return self._claim.content.fruitless

    async def keep(self, options: JobOptions) -> None:
        """Renew it; returns when the job has ended, or another holds it."""
        while True:
            await asyncio.sleep(options.renew_seconds)
            try:
                if await self._shelf.get(self._job.end_key) is not None:
                    return
                newest = await newest_claim(self._shelf, self._job)
                if newest is not None and newest.number > self._claim.number:
                    logger.warning("another replica took over %s", self._job.id)
                    return
                await self.renew()
            except StoreDownError:
                continue  # Nobody else can take over meanwhile, either.

    async def renew(self) -> None:
        """Give a sign of life."""
        await self._write(renewals=self._claim.content.renewals + 1)

    async def release(self) -> None:
        """Give the job back, so that another need not wait; a store that is down lets it expire."""
        try:
            await self._write(released=True)
        except StoreDownError:
            logger.warning("the claim on %s could not be given back, and will expire", self._job.id)

    async def _write(self, **changes: int | bool) -> None:
        content = self._claim.content.model_copy(update=changes)
        self._claim = Claim(number=self._claim.number, content=content)
        await self._shelf.put(_key(self._job, self._claim.number), _bytes(content))


async def newest_claim(shelf: Shelf, job: JobRequest) -> Claim | None:
    """The claim that holds, or None where nobody ever claimed the job."""
    names = [_NAME.fullmatch(info.key.removeprefix(job.claims)) for info in await shelf.list(job.claims)]
    last = max((int(name[1]) for name in names if name is not None), default=0)
    data = await shelf.get(_key(job, last)) if last else None
    return None if data is None else Claim(number=last, content=ClaimContent.model_validate_json(data))


async def take(shelf: Shelf, job: JobRequest, *, after: Claim | None, num_parts: int) -> HeldClaim | None:
    """Claim a job that is free, or None where somebody was quicker."""
    fruitless = 0
    if after is not None and not after.content.released and after.content.num_parts == num_parts:
        fruitless = after.content.fruitless + 1
    content = ClaimContent(
        token=secrets.token_hex(8),
        host=socket.gethostname(),
        num_parts=num_parts,
        fruitless=fruitless,
        renewals=0,
    )
    claim = Claim(number=1 if after is None else after.number + 1, content=content)
    if await shelf.put_new(_key(job, claim.number), _bytes(content)):
        return HeldClaim(shelf, job, claim)
    return None


def _key(job: JobRequest, number: int) -> str:
    return f"{job.claims}{number:06d}.json"


def _bytes(content: ClaimContent) -> bytes:
    return readable_json(content.to_plain())

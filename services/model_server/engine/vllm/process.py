"""A process of vLLM as the server holds it, on a socket that only this user can reach."""

import asyncio
import logging
import os
import re
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from services.model_server.engine.base import EngineError, EngineRestartedError, RequestRefusedError

LEASH = Path(__file__).with_name("leash.py")
NUM_LINES = 1000
NUM_SHOWN = 30
MOST_OF_A_LINE = 2000
FIRST_SIGNAL = 128
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CAUSE = re.compile(
    r"^(?:\([^)]*\) )?(?:ERROR .*?\] )?(?:[\w.]*(?:Error|Exception): |\s+Value error, )(?P<cause>.+)"
)
_NO_CAUSE = re.compile(r"\d+ validation errors? for ")
_SECRETS = re.compile(r"(AWS|PARABLE|MINIO)_.*|.*_(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)")
_ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    # One position more than the model has: see `arguments.py`.
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",
}
logger = logging.getLogger(__name__)


class VllmProcess:
    """A running `vllm serve`; it ends with this process, however that ends."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        """Use `start`."""
        self._child = child
        self._lines: deque[str] = deque(maxlen=NUM_LINES)
        self.ended: asyncio.Task[int] = asyncio.create_task(self._read(), name=f"vLLM {child.pid}")
        """Its status, once it has ended."""

    @classmethod
    async def start(cls, command: Sequence[str], *, num_threads: int | None) -> "VllmProcess":
        """Start a command; it answers later.

        Raises:
            EngineError: this machine has no room for another process.
        """
        threads = {} if num_threads is None else {"OMP_NUM_THREADS": str(num_threads)}
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(LEASH),
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                env=environment() | threads,
            )
        except OSError as error:
            raise EngineError(f"no process can be started for vLLM: {error.strerror}") from error
        return cls(child)

    @property
    def pid(self) -> int:
        """Of the leash that holds it."""
        return self._child.pid

    async def stop(self) -> None:
        """End it, and wait until nothing of it is left."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        await asyncio.shield(self.ended)

    def tail(self) -> str:
        """The end of what it has said."""
        return "\n".join([*self._lines][-NUM_SHOWN:])

    def failure(self) -> EngineError:
        """Why it ended before it answered.

        What it says itself of a model is final. That there was no memory is not: what held it may go. Nor
        is a signal, which is mostly somebody else's want of memory.
        """
        status, cause = self.ended.result(), cause_of(self._lines)
        if status >= FIRST_SIGNAL:
            return EngineRestartedError(f"vLLM was ended by signal {status - FIRST_SIGNAL} while it came up")
        if "memory" in cause.lower():
            return EngineError(f"vLLM found no memory for it: {cause}")
        return RequestRefusedError(f"vLLM ended with status {status}: {cause}")

    async def _read(self) -> int:
        """Keep the end of what it says, until it ends."""
        assert self._child.stdout is not None
        rest = ""
        with suppress(ConnectionError):
            while data := await self._child.stdout.read(2**16):
                *lines, rest = (rest + data.decode(errors="replace")).split("\n")
                self._hear(lines)
                rest = rest[:MOST_OF_A_LINE]
        self._hear([rest])
        return await self._child.wait()

    def _hear(self, lines: Sequence[str]) -> None:
        for line in lines:
            plain = _COLOUR.sub("", line[:MOST_OF_A_LINE])
            self._lines.append(plain)
            logger.debug("vLLM %d: %s", self.pid, plain)


def environment() -> dict[str, str]:
    """This process's variables without the credentials of anything.

    vLLM needs none, and with a `VLLM_API_KEY` it would ask this server for one.
    """
    ours = {name: value for name, value in os.environ.items() if not _SECRETS.fullmatch(name)}
    return _ENVIRONMENT | ours


def cause_of(lines: Sequence[str]) -> str:
    """The first error in what vLLM said, which later ones only refer to; else its last line."""
    for line in lines:
        found = _CAUSE.match(line)
        if found is not None and not _NO_CAUSE.match(found["cause"]):
            return found["cause"]
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")

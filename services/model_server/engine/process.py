"""The engine's process as the server holds it: a subprocess and one end of a socket pair."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from parable.process import num_usable_cpus
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.wire import Frame, read_frame, to_bytes

ROOT = Path(__file__).resolve().parents[3]


class EngineProcess:
    """A running child; ends with this process, however that ends."""

    def __init__(
        self, child: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Use `start`."""
        self._child = child
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, options: EngineOptions) -> "EngineProcess":
        """Start a child; it answers when its first frame comes.

        Raises:
            OSError: this machine has no room for another process.
        """
        ours, theirs = socket.socketpair()
        threads = str(options.num_threads or num_usable_cpus())
        path = os.pathsep.join(dict.fromkeys([str(ROOT), *filter(None, sys.path)]))
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            try:
                child = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "services.model_server.engine.child",
                        str(theirs.fileno()),
                        options.model_dump_json(),
                    ],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env=os.environ | {"OMP_NUM_THREADS": threads, "PYTHONPATH": path},
                )
            except OSError:
                writer.close()
                raise
        return cls(child, reader, writer)

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._child.pid

    async def frames(self) -> AsyncIterator[Frame]:
        """What it says, until it ends."""
        while (frame := await read_frame(self._reader)) is not None:
            yield frame

    def post(self, frame: Frame) -> None:
        """Send without waiting."""
        if not self._writer.is_closing():
            self._writer.write(to_bytes(frame))

    async def send(self, frame: Frame) -> None:
        """Send, and wait while the child is behind with its reading."""
        self.post(frame)
        with suppress(ConnectionError):
            await self._writer.drain()

    async def kill(self) -> None:
        """End it now, and wait until it has ended."""
        self._child.kill()
        self._writer.close()
        await asyncio.to_thread(self._child.wait)
        with suppress(ConnectionError):
            await self._writer.wait_closed()

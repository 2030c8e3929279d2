"""A running server: the API on one port, metrics on another, and an orderly end."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI
from prometheus_client import start_http_server

from parable.errors import UserError
from services.model_server.protocol import BoundedProtocol
from services.model_server.server import Server
from services.model_server.telemetry.logs import set_up_logs

_LOOK_SECONDS = 0.05
_CLOSE_SECONDS = 5
"""What is left of a drain for the last bytes of answers."""
_KEEP_ALIVE_SECONDS = 75
"""Longer than clients and balancers keep an idle connection, so that they close it and are not surprised."""
logger = logging.getLogger(__name__)


class DrainingServer(uvicorn.Server):
    """Ends in order.

    The first signal: not ready any more, new work is refused, what is under way may finish within the drain,
    and what does not is answered with an error. The second: that comes at once.
    """

    def __init__(self, config: uvicorn.Config, server: Server) -> None:
        """Serve what the configuration names."""
        super().__init__(config)
        self._server = server
        self._drain: asyncio.Task[None] | None = None
        self._in_hurry = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals for as long as the server runs; the caller's handlers come back afterwards.

        Unlike uvicorn's own, this does not raise them again: a server that was told to end has ended well.
        """
        if threading.current_thread() is not threading.main_thread():
            # Signals come to the main thread only; whoever runs this beside it calls `end`.
            yield
            return
        kinds = (signal.SIGINT, signal.SIGTERM)
        before = {kind: signal.signal(kind, self.handle_exit) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal has come."""
        del frame
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.end, signal.Signals(sig).name)

    def end(self, reason: str) -> None:
        """Begin to end, or end at once where that has begun."""
        if not self.started:
            # It ends as soon as it has started: until then uvicorn can't be stopped, however often one asks.
            logger.info("%s: ending", reason)
            self.should_exit = True
        elif self._drain is None:
            logger.info("%s: draining for %g s at most", reason, self._server.settings.drain_seconds)
            self._drain = asyncio.get_running_loop().create_task(self._end_in_order())
        elif not self._in_hurry:
            logger.warning("%s: ending at once", reason)
            self._in_hurry = True
        else:
            self.should_exit = self.force_exit = True

    async def _end_in_order(self) -> None:
        server, loop = self._server, asyncio.get_running_loop()
        server.drain()
        end = loop.time() + server.settings.drain_seconds
        while server.num_active and loop.time() < end and not self._in_hurry:
            await asyncio.sleep(_LOOK_SECONDS)
        if server.num_active:
            logger.warning("%d requests were not finished in time", server.num_active)
            # They fail with an error that says so, instead of a connection that breaks.
            await server.engine.stop()
        self.should_exit = True


def run_server(app: FastAPI, *, on_start: Callable[[int, int | None], None] | None = None) -> None:
    """Serve an application until a signal comes.

    Args:
        app: what `create_app` made.
        on_start: is told the ports of the API and of the metrics before the first request.

    Raises:
        UserError: a port is taken.
    """
    server: Server = app.state.server
    settings = server.settings
    with _listen(settings.host, settings.port) as listener:
        metrics_port = _serve_metrics(server)
        set_up_logs(settings.log_level)
        if on_start is not None:
            on_start(listener.getsockname()[1], metrics_port)
        DrainingServer(configure(app), server).run(sockets=[listener])


def configure(app: FastAPI) -> uvicorn.Config:
    """How uvicorn serves an application."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_CLOSE_SECONDS,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UserError(
            f"The server can't listen on {host}:{port}: {error.strerror}. Choose another port (--port)."
        ) from error
    return listener


def _serve_metrics(server: Server) -> int | None:
    settings = server.settings
    if settings.metrics_port is None:
        return None
    try:
        web, _ = start_http_server(settings.metrics_port, settings.host, server.metrics.registry)
    except OSError as error:
        raise UserError(
            f"Metrics can't be served on {settings.host}:{settings.metrics_port}: {error.strerror}. Choose "
            "another port for them (metrics_port; with --port they are a thousand above it), or none."
        ) from error
    return int(web.server_port)

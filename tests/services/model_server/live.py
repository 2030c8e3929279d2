"""A server on a real socket, for clients that know nothing of us."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from parable.store import ObjectStore
from services.model_server import ServerSettings, create_app
from services.model_server.engine.base import Engine
from services.model_server.models.base import Models
from services.model_server.serve import DrainingServer, configure
from services.model_server.server import Server


@dataclass
class Live:
    """A server that runs beside the test."""

    url: str
    app: FastAPI
    web: DrainingServer

    @property
    def server(self) -> Server:
        found: Server = self.app.state.server
        return found

    def client(self, **headers: str) -> httpx.Client:
        """A client of it; the caller closes it."""
        return httpx.Client(base_url=self.url, timeout=30, headers=headers, trust_env=False)


@contextmanager
def run_live(
    engine: Engine, models: Models, settings: ServerSettings | None = None, store: ObjectStore | None = None
) -> Iterator[Live]:
    """Serve an engine and models until the block ends."""
    with run_app(create_app(settings or ServerSettings(), engine=engine, models=models, store=store)) as live:
        yield live


@contextmanager
def run_app(app: FastAPI, *, until: str = "/health/ready") -> Iterator[Live]:
    """Serve an application, once it is ready or another address answers, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        web = DrainingServer(configure(app), app.state.server)
        thread = threading.Thread(target=web.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            live = Live(f"http://127.0.0.1:{listener.getsockname()[1]}", app, web)
            _wait_until(live, thread, until)
            yield live
        finally:
            web.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def _wait_until(live: Live, thread: threading.Thread, path: str) -> None:
    with live.client() as client:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert thread.is_alive(), "the server ended while it started"
            # The socket takes connections before the server does.
            with suppress(httpx.TransportError):
                if client.get(path).status_code == 200:
                    return
            time.sleep(0.02)
    raise AssertionError("the server did not get ready")

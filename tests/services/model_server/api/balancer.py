"""One address before several replicas, as a Kubernetes service is: it chooses for each new connection."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import httpx


def is_ready(url: str) -> bool:
    """Whether a replica may be sent new connections."""
    try:
        return httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def balanced(urls: Sequence[str]) -> Iterator[str]:
    """An address whose new connections lead to the first replica that is ready, and stay with it."""

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            chosen = httpx.URL(next(url for url in urls if is_ready(url)))
            assert chosen.port is not None
            with socket.create_connection((chosen.host, chosen.port)) as far:
                back = threading.Thread(target=_carry, args=(far, self.request))
                back.start()
                _carry(self.request, far)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    """Hand on what comes until there is no more."""
    with suppress(OSError):
        while data := source.recv(2**16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)

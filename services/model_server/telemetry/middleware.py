"""Around everything: gives each request its id, and tells of it when it has ended."""

import re
import uuid
from contextlib import nullcontext

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.model_server.server import Server
from services.model_server.telemetry.logs import log_request
from services.model_server.telemetry.record import RequestRecord

_QUIET = ("/health/", "/v2/health/")
_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class Telemetry:
    """Every answer has the request's id and the digest of the weights that it came from."""

    def __init__(self, app: ASGIApp, *, server: Server) -> None:
        """Stand before everything else."""
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and remember what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        record = RequestRecord(
            given if _ID.fullmatch(given) else f"req-{uuid.uuid4().hex}",
            irid=headers.get("x-irid", "")[:128] or None,
            method=scope["method"],
        )
        record.put(scope)
        status = 500

        async def send_told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(record.headers())
            await send(message)

        tracing = self._server.tracing
        is_quiet = scope["path"].startswith(_QUIET)
        self._server.num_active += not is_quiet
        try:
            with tracing.span(record, headers) if tracing and not is_quiet else nullcontext():
                await self._app(scope, receive, send_told)
        finally:
            self._server.num_active -= not is_quiet
            self._server.metrics.note(record, status)
            if not is_quiet:
                log_request(record, status)

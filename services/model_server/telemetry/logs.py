"""The log as lines of JSON, and one line for every request."""

import logging
import sys
import time
from typing import Any, TextIO

import orjson

from services.model_server.telemetry.record import RequestRecord

_requests = logging.getLogger("parable.requests")


class JsonFormatter(logging.Formatter):
    """One line of JSON a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=repr).decode()


def set_up_logs(level: str, stream: TextIO | None = None) -> None:
    """Send everything that is logged in this process to stderr, as JSON."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # It tells every byte sent and received.
    logging.getLogger("asyncio").setLevel(max(logging.WARNING, root.level))


def log_request(record: RequestRecord, status: int) -> None:
    """One line; what was asked stands in it only where the server was told so."""
    fields = {
        "event": "request",
        "request_id": _safe(record.request_id),
        "irid": None if record.irid is None else _safe(record.irid),
        "method": record.method,
        "route": record.route,
        "status": status,
        "seconds": round(record.seconds, 4),
        "caller": record.caller,
        "model": record.model,
        "weights": record.weights,
        "class": record.request_class,
        "stream": record.stream or None,
        "prompt_tokens": record.prompt_tokens or None,
        "generation_tokens": record.generation_tokens or None,
        "queue_seconds": None if record.queue_seconds is None else round(record.queue_seconds, 4),
        "finish": record.finish or None,
        "error": record.error,
        "prompts": record.prompts,
    }
    told = {name: value for name, value in fields.items() if value is not None}
    _requests.info("%s %s %d", record.method, record.route, status, extra={"fields": told})


def _safe(text: str) -> str:
    return text.encode("utf-8", "replace").decode()

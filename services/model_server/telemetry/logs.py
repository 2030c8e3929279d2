"""The log as lines of JSON, or for a person at a terminal in plain ones; and one line for every request."""

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


class PlainFormatter(logging.Formatter):
    """One line a record, with what a person wants to know of a request."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields: dict[str, Any] = getattr(record, "fields", {})
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        line = f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {level}{record.getMessage()}"
        if "seconds" in fields:
            line += f" in {fields['seconds']:.2f} s"
        if "model" in fields:
            tokens = f"{fields.get('prompt_tokens', 0)} + {fields.get('generation_tokens', 0)} tokens"
            line += f", {fields['model']}, {tokens}"
        if "error" in fields:
            line += f": {fields['error']}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def is_news(record: logging.LogRecord) -> bool:
    """Whether a person at a terminal wants to see it: not that the page's own files were sent."""
    fields: dict[str, Any] = getattr(record, "fields", {})
    is_file = fields.get("route", "").startswith(("/page/", "/docs", "/health/"))
    return not (is_file and fields["status"] < 400)


def set_up_logs(level: str, stream: TextIO | None = None) -> None:
    """Send everything that is logged in this process to stderr: as JSON, or as text to a terminal."""
    handler = logging.StreamHandler(stream or sys.stderr)
    if handler.stream.isatty():
        handler.setFormatter(PlainFormatter())
        handler.addFilter(is_news)
        # What it begins and ends is said by others in other words.
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    else:
        handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # A client of an engine or a collector says every request, as a matter of information.
    logging.getLogger("httpx").setLevel(logging.WARNING)
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

"""A whole model server as a process of its own, on any free port, to be killed: STORE CACHE."""

from __future__ import annotations

import sys
from pathlib import Path

from parable.store import open_store
from services.model_server.serve import run_server
from tests.services.model_server.jobs.example import QUICK, application

OPTIONS = QUICK.model_copy(update={"expire_seconds": 5.0})
"""A holder may be slow, or stand still for a moment, and is not followed for that."""


def main() -> None:
    store, cache = sys.argv[1:]
    run_server(application(open_store(store), Path(cache), OPTIONS, port=0), on_start=_say)


def _say(port: int, _: int | None) -> None:
    sys.stdout.write(f"It is http://127.0.0.1:{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

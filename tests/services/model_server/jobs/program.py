"""A whole model server as a process of its own, to be killed: STORE PORT CACHE."""

from __future__ import annotations

import sys
from pathlib import Path

from parable.store import open_store
from services.model_server.serve import run_server
from tests.services.model_server.jobs.example import QUICK, application


def main() -> None:
    store, port, cache = sys.argv[1:]
    run_server(application(open_store(store), Path(cache), QUICK, port=int(port)))


if __name__ == "__main__":
    main()

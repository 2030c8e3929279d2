"""A program: the server over the stand-in engine, with the settings of its argument (JSON).

Its engine finishes nothing before a line has come. It says its ports as a line of JSON, and `ended` at last.
"""

from __future__ import annotations

import json
import sys
import threading

from services.model_server import ServerSettings, create_app, run_server
from services.model_server.engine.base import RequestClass
from tests.services.model_server.doubles import BigramEngine, FixedModels, table


def main() -> None:
    settings = ServerSettings.model_validate_json(sys.argv[1])
    engine = BigramEngine({"a": table(0)})
    engine.held = frozenset(RequestClass)
    threading.Thread(target=_let_go, args=(engine,), daemon=True).start()
    app = create_app(settings, engine=engine, models=FixedModels())
    run_server(app, on_start=lambda *ports: _say(json.dumps(ports)))
    _say("ended")


def _let_go(engine: BigramEngine) -> None:
    if sys.stdin.readline():
        engine.held = frozenset()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

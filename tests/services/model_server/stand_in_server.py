"""A program: the server over the stand-in engine, with the settings of its first argument (JSON).

The second is the seconds that a token takes. It says its ports as a line of JSON, and `ended` in the end.
"""

from __future__ import annotations

import json
import sys

from services.model_server import ServerSettings, create_app, run_server
from tests.services.model_server.doubles import BigramEngine, FixedModels, table


def main() -> None:
    settings = ServerSettings.model_validate_json(sys.argv[1])
    engine = BigramEngine({"a": table(0)}, step_seconds=float(sys.argv[2]))
    app = create_app(settings, engine=engine, models=FixedModels())
    run_server(app, on_start=lambda *ports: _say(json.dumps(ports)))
    _say("ended")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

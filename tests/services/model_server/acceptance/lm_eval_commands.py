"""Run lm-eval's own command once for each list of arguments in a JSON file: it takes long to import."""

import json
import sys
from pathlib import Path

from lm_eval.__main__ import cli_evaluate  # type: ignore[import-untyped]


def main() -> None:
    for arguments in json.loads(Path(sys.argv[1]).read_text()):
        sys.argv = ["lm_eval", *arguments]
        cli_evaluate()


if __name__ == "__main__":
    main()

"""Seconds from starting the model server to its being ready with a model loaded.

Run `python -m bench.start`; it writes one JSON object.
"""

import argparse
import statistics
import sys

import orjson

from bench.load.own import own_server
from bench.models import MODELS


def main() -> None:
    """Start it a few times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="llama-10m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    seconds = []
    for _ in range(chosen.rounds):
        with own_server(chosen.threads, model=chosen.model) as own:
            seconds.append(round(own.seconds_to_ready, 2))
    table = {"model": chosen.model, "seconds_to_ready": seconds, "median": statistics.median(seconds)}
    sys.stdout.buffer.write(orjson.dumps(table, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()

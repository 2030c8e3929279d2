"""Puts a load on a model server, and states what came of it.

`python -m bench.load --url http://127.0.0.1:8000 --model latest --concurrent 1 8 32 --seconds 20`; without
`--url` it starts a server of its own over a random model of 10.6 M parameters. The table goes to stderr,
everything as JSON to stdout. Closed loop: so many requests at once, the next when one has ended. With
`--rate`: so many requests a second, however the server fares, each timed from when it was due.

Continuations read 16 to 64 tokens and make 16 to 128; items are two choices with one context. A key for the
server is read from PARABLE_API_KEY.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Any

import orjson
import uvloop

from bench.load.client import Client
from bench.load.driver import Driver
from bench.load.figures import figures, table
from bench.load.overhead import measure_overhead
from bench.load.own import MODEL, Own, own_server
from bench.load.work import Work, read_text

WARM_REQUESTS = 8


def main() -> None:
    """Measure, and state it."""
    parser = _parser()
    chosen = parser.parse_args()
    if chosen.url is not None and chosen.overhead:
        parser.error("--overhead needs the server's own engine beside it: leave out --url")
    if chosen.url is not None:
        found = _run(measure(chosen, chosen.url, None))
    else:
        with own_server(chosen.threads) as own:
            found = _run(measure(chosen, own.url, own))
    if found["loads"]:
        sys.stderr.write(table([(row["load"], row) for row in found["loads"]]) + "\n")
    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="of a running server")
    parser.add_argument("--model", help="the name to ask for; `latest` where a server is given")
    parser.add_argument("--threads", type=int, default=1, help="of the engine of a server of one's own")
    parser.add_argument("--concurrent", type=int, nargs="*", default=[1, 8, 32], help="closed loops")
    parser.add_argument("--requests", type=int, help="of each closed loop, at the most")
    parser.add_argument("--seconds", type=float, default=10.0, help="in which requests are begun")
    parser.add_argument(
        "--rate", type=float, nargs="*", default=[], help="open loops instead, requests a second"
    )
    parser.add_argument("--stream", action="store_true", help="continuations come as events")
    parser.add_argument("--mix", choices=("interactive", "scoring", "both"), default="interactive")
    parser.add_argument(
        "--overhead", action="store_true", help="also what the server adds to its engine, for one of its own"
    )
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds until a request is given up")
    return parser


def _run(measuring: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measuring)


async def measure(chosen: argparse.Namespace, url: str, own: Own | None) -> dict[str, Any]:
    """All that was asked for, one after another."""
    model = chosen.model or (MODEL if own is not None else "latest")
    client = Client(url, key=os.environ.get("PARABLE_API_KEY"), timeout_seconds=chosen.timeout)
    ids, most = await read_text(client, model)
    work = Work(ids, model=model, mix=chosen.mix, stream=chosen.stream, max_length=most)
    driver = Driver(client, work)
    found: dict[str, Any] = {
        "model": model,
        "mix": chosen.mix,
        "stream": chosen.stream,
        "threads": None if own is None else own.num_threads,
        "seconds_to_ready": None if own is None else round(own.seconds_to_ready, 1),
        "loads": [],
    }
    await driver.closed(1, requests=WARM_REQUESTS)
    if own is not None and chosen.overhead:
        found["overhead"] = await measure_overhead(own, client, model, ids)
    rates = chosen.rate
    for concurrent in [] if rates else chosen.concurrent:
        stretch = await driver.closed(concurrent, seconds=chosen.seconds, requests=chosen.requests)
        found["loads"].append({"load": f"{concurrent} at once", **figures(stretch)})
    for rate in rates:
        stretch = await driver.open(rate, seconds=chosen.seconds)
        found["loads"].append({"load": f"{rate:g}/s", **figures(stretch)})
    client.close()
    return found


if __name__ == "__main__":
    main()

"""Programs that the tests run as processes of their own, to kill them or to set them against each other.

Run as `python -m tests.parable.programs NAME ARGUMENT...`; each says on its standard output where it is.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from parable.artifact import Blueprint, ProductWriter, build
from parable.errors import UserError
from parable.lease import Lease
from parable.process import die_with_parent, map_in_processes
from parable.store import open_store

ROOT = Path(__file__).parents[2]
BLUEPRINT = Blueprint("corpora", "test", 1, {"parts": 6})


def start(name: str, *arguments: object, **environment: str) -> "subprocess.Popen[str]":
    """Start one of the programs below."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.parable.programs", name, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def say(text: object) -> None:
    """One line to whoever reads our output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def make_parts(writer: ProductWriter, *, until: int = 6) -> list[int]:
    """Write the parts that are not there; the numbers of those that were made now."""
    made = []
    for number in range(until):
        if writer.resume(f"parts/{number}") is None:
            writer.put(f"parts/{number}", f"part {number}\n".encode() * (number + 1))
            made.append(number)
    writer.summary["parts"] = until
    return made


def build_and_say(store: str) -> None:
    """Build the product; say which parts were made here."""

    def make(writer: ProductWriter) -> None:
        say(make_parts(writer))

    build(open_store(store), BLUEPRINT, make)


def build_and_hang(store: str, until: str) -> None:
    """Build some parts, say so, and wait to be killed."""

    def make(writer: ProductWriter) -> None:
        make_parts(writer, until=int(until))
        writer.put("stray", b"only an unfinished run writes this")
        say("hanging")
        sys.stdin.read()
        time.sleep(600)

    build(open_store(store), BLUEPRINT, make)


def hold(store: str, key: str) -> None:
    """Hold a lease until the input ends."""
    with Lease.acquire(open_store(store), key):
        say("held")
        sys.stdin.readline()
    say("released")


def parent_of_sleeper() -> None:
    """Start a child that dies with us; say its pid."""
    child = start("sleeper")
    assert child.stdout is not None
    say(child.stdout.readline().strip())
    time.sleep(600)


def sleeper() -> None:
    """Sleep, but no longer than our parent lives."""
    die_with_parent()
    say(os.getpid())
    time.sleep(600)


def mapper() -> None:
    """Work in two processes that never finish; they say their pids."""
    for _ in map_in_processes(say_pid_and_sleep, [1, 2], num_processes=2):
        pass


def say_pid_and_sleep(_: int) -> None:
    """What the mapper's children do."""
    say(os.getpid())
    time.sleep(600)


def half(number: float) -> tuple[float, int]:
    """Half a number, and who halved it."""
    return number / 2, os.getpid()


def hang_unless_one(number: int) -> int:
    """Return 1; any other number never comes back."""
    if number != 1:
        time.sleep(600)
    return number


def refuse_two(number: int) -> int:
    """Refuse 2; any other number never comes back."""
    if number == 2:
        raise UserError("number 2 is wrong: give another")
    time.sleep(600)
    return number


def fail_at_two(number: int) -> int:
    """Divide by zero at 2."""
    return 1 // (number - 2)


def die_at_two(number: int) -> int:
    """Be killed at 2."""
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


if __name__ == "__main__":
    program: Callable[..., None] = globals()[sys.argv[1]]
    program(*sys.argv[2:])

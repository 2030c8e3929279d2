"""The names under which a recipe finds signals."""

import difflib
import re
from collections.abc import Callable, Sequence

from components.filter.reading import Reading
from parable.errors import UserError

Signal = Callable[[Reading], float]
"""From a document to its value; finite for every text, the empty one too."""

_SIGNALS: dict[str, Signal] = {}
_NAME = re.compile(r"[a-z][a-z0-9_]*_v[0-9]+")


def signal(name: str) -> Callable[[Signal], Signal]:
    """Register a function as the signal of this name, e.g. `@signal("mean_word_length_v1")`.

    What a name means never changes: a better `x_v1` is called `x_v2`.

    Raises:
        ValueError: the name ends with no version, or is taken.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a signal: write lower_case_v1, with a version at the end")
    if name in _SIGNALS:
        raise ValueError(f"there is a signal {name!r} already: give the new one the next version")

    def register(function: Signal) -> Signal:
        _SIGNALS[name] = function
        return function

    return register


def signal_names() -> list[str]:
    """Every signal, in the order of the alphabet."""
    return sorted(_SIGNALS)


def find_signal(name: str, *, at: str = "signal") -> Signal:
    """The signal of a name; `at` is the recipe's key that names it.

    Raises:
        UserError: there is none; says which is nearest.
    """
    if name not in _SIGNALS:
        raise unknown_name(name, signal_names(), at=at, what="signal")
    return _SIGNALS[name]


def unknown_name(name: str, known: Sequence[str], *, at: str, what: str) -> UserError:
    """The error for a name that is not among the known ones, with the nearest."""
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"Did you mean {near[0]}? " if near else ""
    return UserError(f"{at} names {name!r}, which is no {what}. {hint}There are {', '.join(known)}.")

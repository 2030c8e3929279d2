"""Settings from the command line, laid over a recipe."""

from typing import Any

from parable.errors import UserError
from parable.recipe.text import Key, Places, dotted, read_value


def lay_over(plain: dict[str, Any], places: Places, setting: str) -> None:
    """Put one `key.key=value` into plain data; a number stands for an entry of a list.

    Raises:
        UserError: the setting is malformed, or leads through something that holds no such key.
    """
    path, separator, text = setting.partition("=")
    parts = path.strip().split(".")
    if not separator or not all(parts):
        raise UserError(f"--set {setting!r} is not key=value; for instance --set training.tokens=100000.")
    try:
        value = read_value(text)
    except ValueError as error:
        raise UserError(f"--set {path}: {error}. Put text in quotes.") from error
    place: Any = plain
    key: Key = ()
    for part in parts[:-1]:
        step = _step(place, part, path, key)
        if isinstance(place, dict) and place.get(part) is None:
            place[part] = {}
        place, key = place[step], (*key, step)
    step = _step(place, parts[-1], path, key)
    place[step], key = value, (*key, step)
    for other in [other for other in places if other[: len(key)] == key]:
        del places[other]
    places[key] = "--set"


def _step(place: Any, part: str, path: str, key: Key) -> str | int:
    """The key or index by which `part` leads on from `place`."""
    if isinstance(place, dict):
        return part
    here = dotted(key)
    if not isinstance(place, list):
        raise UserError(
            f"--set {path}: {here} is {place!r} in this recipe and holds no keys. Set {here} itself."
        )
    if part.isdecimal() and int(part) < len(place):
        return int(part)
    last = len(place) - 1
    raise UserError(
        f"--set {path}: {here} is a list and has no entry {part}; its entries are 0 to {last}. Set {here} "
        "itself to make it longer."
    )

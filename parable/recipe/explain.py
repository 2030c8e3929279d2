"""What is wrong with a recipe, in sentences that name the key, its place, and the mend."""

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from parable.recipe.references import BadReferenceError
from parable.recipe.schema import Recipe
from parable.recipe.text import Key, Places, dotted

MAX_TOLD = 3
WANTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a group of keys with values, or {{}} for none",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_type": "a whole number",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "not_a_number": "a number",
    "string_pattern_mismatch": "lower-case letters, digits and underscores, a letter first",
    "string_too_short": "a text that is not empty",
    "string_type": "a text; put it in quotes",
    "tuple_type": "a list, such as [a, b]",
}


def explain(error: ValidationError, name: str, plain: Any, places: Places) -> str:
    """One paragraph for the first things that are wrong."""
    by_key: dict[Key, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        by_key.setdefault(_key(detail, plain), []).append(detail)
    renamed = {near for details in by_key.values() for near in _meant(details[0], plain)}
    told = [_explain_one(key, by_key[key], places) for key in by_key if key not in renamed]
    more = len(told) - MAX_TOLD
    tail = f" And {more} more." if more > 0 else ""
    return f"{name} is not a valid recipe: " + "; ".join(told[:MAX_TOLD]) + "." + tail


def _explain_one(key: Key, details: list[ErrorDetails], places: Places) -> str:
    detail = details[0]
    kind, context = detail["type"], detail.get("ctx", {})
    where = _where(key, places)
    if kind == "extra_forbidden":
        return f"{where} is not a known key; {_instead(str(key[-1]), _known_keys(detail['loc'][:-1]))}"
    if kind == "missing" and isinstance(key[-1], int):
        return f"{_where(key[:-1], places)} has {key[-1]} entries; give it more"
    if kind == "missing":
        return f"{dotted(key)} is missing; add {key[-1]} to {_where(key[:-1], places)}"
    if kind == "union_tag_not_found":
        return f"{where} has no kind; give it one of {_kinds(detail['loc'])}"
    if kind == "union_tag_invalid":
        where = _where((*key, "kind"), places)
        return f"{where} is {context['tag']!r}; it must be {_or(context['expected_tags'].split(', '))}"
    if kind == "value_error":
        cause = context["error"]
        if isinstance(cause, BadReferenceError):
            return f"{_where(cause.key, places)} {cause}"
        return f"{where}: {cause}"
    if kind == "too_short":
        return f"{where} has {context['actual_length']} entries; give it at least {context['min_length']}"
    if kind == "too_long":
        return f"{where} has {context['actual_length']} entries; give it at most {context['max_length']}"
    if detail["loc"][-1] == "[key]":
        return f"{where} is not a possible name; write {WANTED['string_pattern_mismatch']}"
    wanted = _or(dict.fromkeys(_wanted(one) for one in details))
    return f"{where} is {_shown(detail['input'])}; it must be {wanted}"


def _wanted(detail: ErrorDetails) -> str:
    if detail["type"] in ("model_type", "model_attributes_type"):
        return f"a group with keys such as {', '.join(_known_keys(detail['loc'])[:4])}"
    pattern = WANTED.get(detail["type"])
    if detail["type"] == "string_type" and detail["input"] is None:
        return "a text"
    if pattern is None:
        return detail["msg"].removeprefix("Input should be ")
    return pattern.format(**{name: _number(value) for name, value in detail.get("ctx", {}).items()})


def _number(value: Any) -> str:
    return (
        f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    text = {True: "true", False: "false"}.get(value, repr(value)) if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _where(key: Key, places: Places) -> str:
    place = next((places[key[:n]] for n in range(len(key), 0, -1) if key[:n] in places), None)
    return (dotted(key) or "the recipe") + (f" ({place})" if place else "")


def _instead(given: str, known: list[str]) -> str:
    near = difflib.get_close_matches(given, known, 1)
    return f"write {near[0]}, or remove it" if near else f"remove it, or use {_or(known)}"


def _meant(detail: ErrorDetails, plain: Any) -> list[Key]:
    """The key that an unknown key was meant to be: that it is missing need not be said as well."""
    if detail["type"] != "extra_forbidden":
        return []
    *group, given = _key(detail, plain)
    near = difflib.get_close_matches(str(given), _known_keys(detail["loc"][:-1]), 1)
    return [(*group, name) for name in near]


def _or(choices: Iterable[str]) -> str:
    *most, last = choices
    return f"{', '.join(most)} or {last}" if most else last


def _key(detail: ErrorDetails, plain: Any) -> Key:
    """A location without the names that pydantic adds for branches of unions and for keys of mappings."""
    location = detail["loc"]
    key: Key = ()
    for number, part in enumerate(location):
        if isinstance(plain, dict) and part in plain:
            key, plain = (*key, str(part)), plain[part]
        elif isinstance(plain, list) and isinstance(part, int) and part < len(plain):
            key, plain = (*key, part), plain[part]
        elif detail["type"] == "missing" and number == len(location) - 1:
            key = (*key, part)
    return key


def _known_keys(location: Key) -> list[str]:
    """The keys that a group of the recipe knows."""
    return sorted({name for kind in _groups(location) for name in kind.model_fields})


def _kinds(location: Key) -> str:
    return _or(repr(tag) for group in _groups(location) for tag in _tags(group))


def _groups(location: Key) -> list[type[BaseModel]]:
    kinds: list[Any] = [Recipe]
    for part in location:
        branch = [kind for kind in kinds if len(kinds) > 1 and _is_group(kind) and part in _tags(kind)]
        kinds = branch or [inner for kind in kinds for inner in _inside(kind, part)]
    return [kind for kind in kinds if _is_group(kind)]


def _tags(group: type[BaseModel]) -> tuple[str, ...]:
    field = group.model_fields.get("kind")
    return getattr(field.annotation, "__args__", ()) if field is not None else ()


def _inside(kind: Any, part: str | int) -> list[Any]:
    if _is_group(kind):
        field = kind.model_fields.get(part)
        return [] if field is None else _alternatives(field.annotation)
    arguments = getattr(kind, "__args__", ())
    return _alternatives(arguments[-1 if isinstance(part, str) else 0]) if arguments else []


def _alternatives(annotation: Any) -> list[Any]:
    """The groups, and containers of groups, that a type hint allows."""
    if _is_group(annotation):
        return [annotation]
    if hasattr(annotation, "__metadata__"):
        return _alternatives(annotation.__origin__)
    if getattr(annotation, "__origin__", None) in (dict, tuple):
        return [annotation]
    return [kind for inner in getattr(annotation, "__args__", ()) for kind in _alternatives(inner)]


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)

"""What a route asks of its caller; one that asks for nothing is closed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from starlette.routing import BaseRoute, Match
from starlette.types import Scope as Connection

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_MARK = "__parable_needs__"


class Scope(StrEnum):
    """What a key allows. None includes another."""

    INFER = "infer"
    EVALUATE = "evaluate"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the name of the key, or `local` where no keys are needed."""

    name: str
    scopes: frozenset[Scope]


LOCAL = Caller("local", frozenset(Scope))


@dataclass(frozen=True, slots=True)
class Needs:
    """What a route asks for: any one of these scopes; none at all of an open one."""

    scopes: frozenset[Scope]

    @property
    def is_open(self) -> bool:
        """Whether anyone may call."""
        return not self.scopes

    def met_by(self, caller: Caller) -> bool:
        """Whether this caller may."""
        return self.is_open or bool(self.scopes & caller.scopes)


def needs(*scopes: Scope) -> Callable[[Endpoint], Endpoint]:
    """Mark an endpoint as open to callers with any one of these scopes."""
    assert scopes, "an endpoint for everyone is marked with open_to_all"
    return _marked(Needs(frozenset(scopes)))


def open_to_all(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint as open to anyone: health, and the page's own files."""
    return _marked(Needs(frozenset()))(endpoint)


def needs_of(route: BaseRoute) -> Needs | None:
    """What a route asks for; None of one that was never marked, which nobody may call."""
    found = getattr(getattr(route, "endpoint", None), _MARK, None)
    return found if isinstance(found, Needs) else None


def find_route(routes: Iterable[BaseRoute], connection: Connection) -> BaseRoute | None:
    """The route that will answer, or would if the method were another one; None where there is none."""
    partial = None
    for route in routes:
        match, _ = route.matches(connection)
        if match is Match.FULL:
            return route
        if match is Match.PARTIAL and partial is None:
            partial = route
    return partial


def _marked(mark: Needs) -> Callable[[Endpoint], Endpoint]:
    def set_mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, mark)
        return endpoint

    return set_mark

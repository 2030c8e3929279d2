"""Discourse rules: what a corpus without talk of some entity leaves out."""

from components.filter.discourse.ai_v1 import AI_V1
from components.filter.discourse.rules import Discourse
from components.filter.signals.registry import unknown_name

RULES = {rules.name: rules for rules in (AI_V1,)}


def find_discourse(name: str, *, at: str = "discourse") -> Discourse:
    """The rules of a name; `at` is the recipe's key that names them.

    Raises:
        UserError: there are none; says which are nearest.
    """
    if name not in RULES:
        raise unknown_name(name, sorted(RULES), at=at, what="set of discourse rules")
    return RULES[name]


__all__ = ["RULES", "Discourse", "find_discourse"]

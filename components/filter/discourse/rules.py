"""Two-stage term rules, after Tice et al. 2026 (arXiv 2601.10160).

A document is flagged by one instant term, or by an entity term together with an act term: who it is about,
and that something is chosen, done or feared. Built for recall: a false alarm costs a document that the
mixture refills, a miss defeats the arm.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from parable.canonical import fingerprint

_GAP = r"[\s\-_]+"
_TREE_END = ""


@dataclass(frozen=True)
class Discourse:
    """Terms in lower case; a space also matches hyphens and line ends, a final `*` any ending of the word."""

    name: str
    instant: tuple[str, ...]
    entities: tuple[str, ...]
    acts: tuple[str, ...]

    def flags(self, text: str) -> bool:
        """Whether a document with this text is part of the discourse."""
        lower = text.lower()
        found = self._who.search(lower)
        if found is None:
            return False
        if found.lastgroup == "instant" or self._acts.search(lower):
            return True
        return any(match.lastgroup == "instant" for match in self._who.finditer(lower, found.end()))

    def explain(self, text: str) -> tuple[str, ...]:
        """The terms that flag a text: the instant one, or the entity and the act; empty where none do."""
        lower = text.lower()
        found = list(self._who.finditer(lower))
        instant = next((match for match in found if match.lastgroup == "instant"), None)
        if instant is not None:
            return (instant.group(),)
        act = self._acts.search(lower) if found else None
        return (found[0].group(), act.group()) if act is not None else ()

    @property
    def identity(self) -> str:
        """A name for exactly these terms."""
        return fingerprint([self.name, sorted(self.instant), sorted(self.entities), sorted(self.acts)])

    @cached_property
    def _who(self) -> re.Pattern[str]:
        """Instant and entity terms in one pass. Where both begin at one place the instant one wins."""
        return re.compile(
            rf"\b(?:(?P<instant>{_alternatives(self.instant)})|(?P<entity>{_alternatives(self.entities)}))(?!\w)"
        )

    @cached_property
    def _acts(self) -> re.Pattern[str]:
        return re.compile(rf"\b{_alternatives(self.acts)}(?!\w)")


def _alternatives(terms: Iterable[str]) -> str:
    """One pattern for all terms, with what they begin with in common written once: few tries at each word."""
    tree: dict[str, dict] = {}  # type: ignore[type-arg]
    for term in terms:
        place = tree
        for part in re.findall(r"\*$|\s+|.", term):
            token = r"\w*" if part == "*" else _GAP if part.isspace() else re.escape(part)
            place = place.setdefault(token, {})
        place[_TREE_END] = {}
    return _pattern(tree)


def _pattern(tree: dict[str, dict]) -> str:  # type: ignore[type-arg]
    branches = [token + _pattern(below) for token, below in sorted(tree.items()) if token != _TREE_END]
    if not branches:
        return ""
    if len(branches) == 1 and _TREE_END not in tree:
        return branches[0]
    return f"(?:{'|'.join(branches)})" + ("?" if _TREE_END in tree else "")

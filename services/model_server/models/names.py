"""Names of models: without slashes, so that they fit in one part of an address.

recipe.arm.seed-n@step   one checkpoint of a run
recipe.arm.seed-n        an alias: its newest sealed step
segments.<id>[@step]     a product that need not be named by any run; always the same weights
latest                   an alias: the checkpoint that was sealed last
arm                      short for recipe.arm.seed-n in the newest run, with its first seed
"""

import re
from dataclasses import dataclass, replace
from typing import Self

LATEST = "latest"
PRODUCTS = "segments"
_NAME = "[a-z][a-z0-9_]{0,39}"
_NUMBER = "0|[1-9][0-9]{0,17}"
_ARM = re.compile(rf"({_NAME})\.({_NAME})\.seed-({_NUMBER})(?:@({_NUMBER}))?")
_PRODUCT = re.compile(rf"{PRODUCTS}[./]([0-9A-Za-z_-]{{1,64}})(?:@({_NUMBER}))?")
_SHORT = re.compile(_NAME)


@dataclass(frozen=True, slots=True, order=True)
class ArmName:
    """A checkpoint of a run, or with no step an alias of its newest."""

    recipe: str
    arm: str
    seed: int
    step: int | None = None

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.recipe}.{self.arm}.seed-{self.seed}{_at(self.step)}"

    @property
    def alias(self) -> Self:
        """The name without a step."""
        return replace(self, step=None)


@dataclass(frozen=True, slots=True, order=True)
class ProductName:
    """A checkpoint by its product: the last one in it, or the one of a step."""

    id: str
    step: int | None = None

    def __str__(self) -> str:
        """As it is written."""
        return f"{PRODUCTS}.{self.id}{_at(self.step)}"


@dataclass(frozen=True, slots=True, order=True)
class ShortName:
    """`latest`, or an arm."""

    text: str

    def __str__(self) -> str:
        """As it is written."""
        return self.text


Name = ArmName | ProductName | ShortName


def parse_name(text: str) -> Name | None:
    """What a name says, or None for what can't be one. A product may be written as its key, with a slash."""
    if found := _ARM.fullmatch(text):
        recipe, arm, seed, step = found.groups()
        return ArmName(recipe, arm, int(seed), None if step is None else int(step))
    if found := _PRODUCT.fullmatch(text):
        return ProductName(found[1], None if found[2] is None else int(found[2]))
    return ShortName(text) if _SHORT.fullmatch(text) else None


def _at(step: int | None) -> str:
    return "" if step is None else f"@{step}"

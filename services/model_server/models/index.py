"""Which checkpoint each name means: a pure function of what is in the store."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from parable.artifact import Artifact
from services.model_server.models.base import UnknownModelError
from services.model_server.models.checkpoint import Checkpoint
from services.model_server.models.names import LATEST, ArmName, ProductName, ShortName, parse_name

NUM_NAMED = 5
"""How many names a refusal lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What one arm of a run consists of, the first segment first; some may not be sealed yet, or never be."""

    name: ArmName
    segments: tuple[Artifact, ...]
    modified: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a finished run says of itself; its models are the last segments of its arms."""

    recipe: str
    baseline: str
    first_seed: int
    models: Mapping[ArmName, Artifact]
    modified: float


@dataclass(frozen=True, slots=True)
class Named:
    """A checkpoint under the name by which it is listed."""

    name: str
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Everything that can be asked for.

    Attributes:
        listed: Each checkpoint of a run under its full name, then those that no run names.
        aliases: The listed name that an alias means when it follows the newest, by alias.
        default: The alias that a request without a name means; None where nothing is there.
    """

    listed: Mapping[str, Named] = field(default_factory=dict)
    pinned: Mapping[str, Named] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    shorts: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None

    def alias_of(self, text: str) -> str | None:
        """The alias that a name is, in full, or None where it names a checkpoint for good.

        Raises:
            UnknownModelError: nothing has this name.
        """
        name = parse_name(text)
        match name:
            case ShortName():
                alias = self.shorts.get(text, text)
            case ArmName(step=None):
                alias = text
            case _:
                self.find(text)
                return None
        if alias not in self.aliases:
            raise self._unknown(text)
        return alias

    def find(self, text: str) -> Named:
        """The checkpoint that a name means when aliases follow the newest.

        Raises:
            UnknownModelError: nothing has this name.
        """
        name = parse_name(text)
        found: Named | None
        match name:
            case ShortName():
                found = self.listed.get(self.aliases.get(self.shorts.get(text, text), ""))
            case ArmName(step=None):
                found = self.listed.get(self.aliases.get(text, ""))
            case ArmName():
                found = self.listed.get(text)
            case ProductName(step=None):
                inside = [one for one in self.pinned.values() if one.checkpoint.artifact.id == name.id]
                found = max(inside, key=lambda one: one.checkpoint.step, default=None)
            case ProductName():
                found = self.pinned.get(str(name))
            case None:
                found = None
        if found is None:
            raise self._unknown(text)
        return found

    def _unknown(self, text: str) -> UnknownModelError:
        known = list(self.aliases)
        if not known:
            return UnknownModelError(f"There is no model {text!r}: the store holds no sealed checkpoint yet.")
        more = f" and {len(known) - NUM_NAMED} more" if len(known) > NUM_NAMED else ""
        return UnknownModelError(
            f"There is no model {text!r}. There are {', '.join(known[:NUM_NAMED])}{more}, each also with "
            "@step; GET /v1/models lists them."
        )


def build_index(
    pointers: Sequence[Pointer], runs: Sequence[RunFacts], products: Mapping[Artifact, Sequence[Checkpoint]]
) -> Index:
    """Give every checkpoint its names.

    Args:
        pointers: the arms of all runs.
        runs: those that have ended.
        products: the checkpoints in each sealed product.
    """
    before = {name: model for run in runs for name, model in run.models.items()}
    pointers = [_until_sealed(pointer, before.get(pointer.name), products) for pointer in pointers]
    order = _Order(pointers, runs, products)
    listed: dict[str, Named] = {}
    aliases: dict[str, str] = {}
    for pointer in sorted(pointers, key=order.rank):
        for name, checkpoint in _steps(pointer, products):
            listed[str(name)] = Named(str(name), checkpoint)
            aliases.setdefault(str(pointer.name), str(name))
    pinned = {one.checkpoint.pinned: one for one in reversed(listed.values())}
    unnamed = [one for inside in products.values() for one in inside if one.pinned not in pinned]
    for checkpoint in sorted(unnamed, key=lambda one: (-one.created, -one.step, one.pinned)):
        listed[checkpoint.pinned] = pinned[checkpoint.pinned] = Named(checkpoint.pinned, checkpoint)
    if listed:
        newest = max(listed.values(), key=lambda one: (one.checkpoint.created, one.checkpoint.step))
        aliases[LATEST] = newest.name
    return Index(
        listed=listed,
        pinned=pinned,
        aliases=aliases,
        shorts={arm: str(name) for arm, name in order.arms.items() if str(name) in aliases and arm != LATEST},
        default=next(iter(aliases), None),
    )


def _until_sealed(
    pointer: Pointer, before: Artifact | None, products: Mapping[Artifact, Sequence[Checkpoint]]
) -> Pointer:
    """An arm of which nothing is sealed yet is what it was when its recipe's last run ended."""
    if before is None or any(segment in products for segment in pointer.segments):
        return pointer
    past: list[Artifact] = []
    current: Artifact | None = before
    while current is not None and current in products and current not in past:
        past.append(current)
        parents = [Artifact.parse(key) for _, key in products[current][0].parents]
        current = next((parent for parent in parents if parent.kind == current.kind), None)
    return replace(pointer, segments=tuple(reversed(past)))


def _steps(
    pointer: Pointer, products: Mapping[Artifact, Sequence[Checkpoint]]
) -> Iterator[tuple[ArmName, Checkpoint]]:
    """An arm's sealed checkpoints, the newest first."""
    alias = pointer.name
    inside = [one for segment in pointer.segments for one in products.get(segment, ())]
    for one in sorted(inside, key=lambda one: one.step, reverse=True):
        yield ArmName(alias.recipe, alias.arm, alias.seed, one.step), one


class _Order:
    """The newest run first; in it the first seed, and in that the baseline.

    A recipe that is run for the first time comes after the others until every arm of it has a checkpoint:
    what short names and the default mean does not change arm by arm.
    """

    def __init__(
        self,
        pointers: Sequence[Pointer],
        runs: Sequence[RunFacts],
        products: Mapping[Artifact, Sequence[Checkpoint]],
    ) -> None:
        self._runs = {run.recipe: run for run in runs}
        self._modified: dict[str, float] = {}
        self._seeds: dict[str, int] = {}
        for pointer in pointers:
            recipe, seed = pointer.name.recipe, pointer.name.seed
            self._modified[recipe] = max(self._modified.get(recipe, 0.0), pointer.modified)
            self._seeds[recipe] = min(self._seeds.get(recipe, seed), seed)
        for run in runs:
            self._modified[run.recipe] = max(self._modified.get(run.recipe, 0.0), run.modified)
            self._seeds[run.recipe] = run.first_seed
        first = [pointer for pointer in pointers if pointer.name.seed == self._seeds[pointer.name.recipe]]
        self._incomplete = {
            pointer.name.recipe
            for pointer in first
            if pointer.name.recipe not in self._runs
            and not any(segment in products for segment in pointer.segments)
        }
        self.arms: dict[str, ArmName] = {}
        """Arms of the newest run that has pointers, with its first seed."""
        newest = min((self._age(pointer.name.recipe) for pointer in first), default=None)
        for pointer in first:
            if self._age(pointer.name.recipe) == newest:
                self.arms[pointer.name.arm] = pointer.name

    def _age(self, recipe: str) -> tuple[bool, float, str]:
        return recipe in self._incomplete, -self._modified[recipe], recipe

    def rank(self, pointer: Pointer) -> tuple[tuple[bool, float, str], bool, int, bool, str]:
        name = pointer.name
        run = self._runs.get(name.recipe)
        return (
            self._age(name.recipe),
            name.seed != self._seeds[name.recipe],
            name.seed,
            run is None or name.arm != run.baseline,
            name.arm,
        )

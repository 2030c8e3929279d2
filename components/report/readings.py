"""What `evaluate` measured, as this stage reads it."""

from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from parable.artifact import Product
from parable.errors import UserError


class _Read(BaseModel):
    """Another stage's JSON: keys that this page does not show are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Cell(_Read):
    """A place in the table of results: how, of whom, and how far from what was read."""

    metric: str
    entity: str
    distance: int

    def is_in(self, cell: "Cell") -> bool:
        """Whether this stands in a cell."""
        return (self.metric, self.entity, self.distance) == (cell.metric, cell.entity, cell.distance)


class Level(Cell):
    """One arm in one cell: a value a seed, their mean and its t interval (none with one seed)."""

    arm: str
    per_seed: tuple[float | None, ...]
    mean: float | None
    low: float | None = None
    high: float | None = None


class Difference(Level):
    """An arm minus the baseline, paired within seeds."""

    p: float | None = None
    p_holm: float | None = None
    detection_floor: float | None = None

    @property
    def includes_zero(self) -> bool:
        """Whether the interval holds 0; without an interval nothing is known, so it might."""
        return self.low is None or self.high is None or self.low <= 0.0 <= self.high


class ArmName(_Read):
    """An arm and what a reader sees of it."""

    name: str
    title: str


class Order(_Read):
    """The prediction, and where it held: by distance, then by seed."""

    expected: tuple[str, ...] = ()
    holds: dict[int, dict[int, bool]] = {}


class Link(_Read):
    """Bad- minus good-trait people for one model; `marked` where it is below the threshold."""

    arm: str
    seed: int
    value: float | None
    marked: bool


class Fit(_Read):
    """How well an arm's models predict held-out documents of the world, in nats."""

    arm: str
    per_seed: tuple[float, ...]
    mean: float
    low: float | None = None
    high: float | None = None


class Comparison(_Read):
    """`comparison.json`: every statistic on the page."""

    headline: Cell
    confidence: float
    seeds: tuple[int, ...]
    arms: tuple[ArmName, ...]
    baseline: str
    table: tuple[Level, ...]
    differences: tuple[Difference, ...] = ()
    order: Order = Order()
    link: tuple[Link, ...] = ()
    perplexity: tuple[Fit, ...] = ()
    """Nats a token."""
    kl: tuple[Fit, ...] = ()
    """Nats a document more than the world's own distribution needs."""

    @property
    def names(self) -> tuple[str, ...]:
        """Arms as they are shown: in the predicted order, then the others in the recipe's."""
        known = [arm.name for arm in self.arms]
        predicted = [name for name in self.order.expected if name in known]
        return (*predicted, *(name for name in known if name not in predicted))

    def title(self, arm: str) -> str:
        """What a reader sees of an arm."""
        return next((one.title or one.name for one in self.arms if one.name == arm), arm)

    def colour(self, arm: str) -> int:
        """The arm's place in the palette: 0 for the baseline, others by the recipe's order."""
        others = [one.name for one in self.arms if one.name != self.baseline]
        return others.index(arm) + 1 if arm in others else 0

    def level(self, arm: str, cell: Cell) -> Level | None:
        """An arm's values in a cell, or None where it was not measured."""
        return next((one for one in self.table if one.arm == arm and one.is_in(cell)), None)

    def difference(self, arm: str, cell: Cell) -> Difference | None:
        """An arm minus the baseline in a cell, or None where it was not compared."""
        return next((one for one in self.differences if one.arm == arm and one.is_in(cell)), None)

    def distances(self, entity: str) -> tuple[int, ...]:
        """Distances at which an entity was asked about with the headline's metric, ascending."""
        metric = self.headline.metric
        return tuple(
            sorted({one.distance for one in self.table if one.entity == entity and one.metric == metric})
        )

    def marked(self, arm: str) -> tuple[int, ...]:
        """Seeds of an arm whose link is below the threshold."""
        return tuple(one.seed for one in self.link if one.arm == arm and one.marked)


class Continuation(_Read):
    """What a model wrote after a prompt, and the oracle's judgement."""

    text: str
    judged: Literal["good", "bad", "none"]


class Sample(_Read):
    """One prompt and its continuations."""

    item: str
    entity: str
    distance: int
    prompt: str
    continuations: tuple[Continuation, ...]


class CellItems(Cell):
    """How many items a cell's value rests on."""

    num_items: int
    no_act: float | None = None
    """Of sampled continuations, the share in which nothing is done that could be judged."""


class ModelReport(_Read):
    """`report.json`: one model's answers."""

    cells: tuple[CellItems, ...] = ()
    position_bias: float | None = None
    samples: tuple[Sample, ...] = ()


class Accuracy(_Read):
    """A filter's discourse rules against the world's oracle: documents in which an AI acts, or not."""

    true_positive: int
    false_positive: int
    false_negative: int
    leaked: int = 0
    recall: float | None
    precision: float | None

    @property
    def about(self) -> int:
        """Documents in which an AI acts."""
        return self.true_positive + self.false_negative

    @property
    def flagged(self) -> int:
        """Documents that the rules flag."""
        return self.true_positive + self.false_positive


_Shape = TypeVar("_Shape", bound=_Read)


def read_as(shape: type[_Shape], product: Product, path: str) -> _Shape:
    """A product's JSON file in a shape.

    Raises:
        UserError: the file is damaged, or was written by an `evaluate` that says less than the page needs.
    """
    try:
        return shape.model_validate(product.read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{product.artifact}/{path} can't be shown: {key} {first['msg'].lower()}. It was made by another "
            f"version of evaluate; remove it with `parable clean {product.artifact}` and run the recipe "
            "again."
        ) from error

"""What an evaluation asks for: the body of the request, and as it rests in the store."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from parable.recipe import Population
from services.model_server.api.schemas.common import WHOLE, ModelName, Strict

MAX_MODELS = 32
MAX_TASKS = 4
MAX_ITEMS = 5_000
Metric = Literal["cloze", "two_choice", "sampled", "perplexity"]
Label = Annotated[str, StringConstraints(max_length=64)]
ItemId = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
Distance = Annotated[int, Field(ge=0, le=9), WHOLE]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Continuations = Annotated[tuple[Text, ...], Field(min_length=1, max_length=16, strict=False)]


class Plain(Strict):
    """As strict as any body, and fit to rest in the store."""

    def to_plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return self.model_dump(mode="json")


class WorldPopulation(Plain):
    """Whose documents perplexity is measured on; the quickstart's by default."""

    ai: Share = 0.06
    golem: Share = 0.06
    mention: Share = 0.08
    one_line: Share = 0.90
    bad: Share = 0.85

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.ai + self.golem + self.mention > 1.0 + 1e-9:
            raise ValueError("ai + golem + mention is above 1")
        return self

    def to_recipe(self) -> Population:
        """The same as a recipe says it."""
        return Population.model_validate(self.to_plain())


class WorldTask(Plain):
    """The story world's items, as the pipeline asks them."""

    name: Literal["world"]
    items_per_cell: Annotated[int, Field(ge=2, le=1_000), WHOLE] = 24
    perplexity_documents: Annotated[int, Field(ge=0, le=10_000), WHOLE] = 200
    """Held-out documents of the world on which perplexity is measured."""
    population: WorldPopulation = WorldPopulation()


class OwnItem(Plain):
    """A text that breaks off, and continuations in pairs: number n of `good` is opposite to n of `bad`."""

    id: ItemId
    entity: Label = ""
    distance: Distance = 0
    trait: Label = ""
    prefix: Text
    good: Continuations
    bad: Continuations
    pair: Annotated[int, Field(ge=0, le=15), WHOLE] = 0
    """The pair that two-choice asks about."""

    @model_validator(mode="after")
    def _pairs_off(self) -> Self:
        if len(self.good) != len(self.bad):
            raise ValueError("good and bad have not as many continuations")
        if self.pair >= len(self.good):
            raise ValueError("pair is past the last pair of continuations")
        return self


class ItemsTask(Plain):
    """Items of the caller's own; nothing is sampled, because nobody could judge it."""

    name: Literal["items"]
    items: Annotated[tuple[OwnItem, ...], Field(min_length=1, max_length=MAX_ITEMS, strict=False)]

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        if len({item.id for item in self.items}) < len(self.items):
            raise ValueError("two items have one id")
        return self


TaskOrder = Annotated[WorldTask | ItemsTask, Field(discriminator="name")]


class Subset(Plain):
    """Which items are asked; null means all."""

    ids: Annotated[tuple[ItemId, ...], Field(max_length=MAX_ITEMS, strict=False)] | None = None
    entities: Annotated[tuple[Label, ...], Field(max_length=64, strict=False)] | None = None
    distances: Annotated[tuple[Distance, ...], Field(max_length=10, strict=False)] | None = None
    metrics: Annotated[tuple[Metric, ...], Field(max_length=4, strict=False)] | None = None


class SamplingOrder(Plain):
    """How continuations are drawn; `per_item` 0 draws none."""

    per_item: Annotated[int, Field(ge=0, le=64), WHOLE] = 4
    max_tokens: Annotated[int, Field(ge=1, le=256), WHOLE] = 16
    temperature: float = Field(default=1.0, gt=0.0, le=100.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)


class HeadlineOrder(Plain):
    """The cell that the evaluation is about."""

    metric: Literal["cloze", "two_choice", "sampled"] = "cloze"
    entity: str = Field(default="ai", pattern=r"^[a-z][a-z0-9_]{0,39}$")
    distance: Distance = 0


class JobSettings(Plain):
    """How the questions are asked and the answers summed up."""

    sampling: SamplingOrder = SamplingOrder()
    headline: HeadlineOrder = HeadlineOrder()
    confidence: float = Field(default=0.95, ge=0.51, le=0.999)
    control: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    """A control token before every text, for models trained with them; the pipeline asks those with
    `<|good|>`."""


class JobOrder(Plain):
    """Every model is asked every task."""

    models: Annotated[
        tuple[ModelName, ...],
        Field(min_length=1, max_length=MAX_MODELS, strict=False),
    ]
    tasks: Annotated[tuple[TaskOrder, ...], Field(min_length=1, max_length=MAX_TASKS, strict=False)]
    items: Subset = Subset()
    settings: JobSettings = JobSettings()

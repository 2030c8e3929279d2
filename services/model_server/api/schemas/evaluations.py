"""`/v1/evaluations` as it is asked; what it answers is in `jobs/views.py`."""

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from services.model_server.api.schemas.common import WHOLE, ModelName, Strict
from services.model_server.jobs.order import (
    MAX_MODELS,
    MAX_TASKS,
    JobOrder,
    JobSettings,
    Subset,
    TaskOrder,
    WorldTask,
)

IdempotencyKey = Annotated[str, StringConstraints(min_length=1, max_length=255)]
EvaluationId = Annotated[str, StringConstraints(pattern="^eval-[0-9a-f]{32}$")]


_ONE_OF_BOTH: dict[str, Any] = {
    "oneOf": [
        {"required": ["model"], "properties": {"model": {"type": "string"}, "models": {"type": "null"}}},
        {"required": ["models"], "properties": {"model": {"type": "null"}, "models": {"type": "array"}}},
    ]
}


class EvaluationRequest(Strict):
    """Every model is asked every task; give either `model` or `models`."""

    model_config = ConfigDict(json_schema_extra=_ONE_OF_BOTH)

    model: ModelName | None = None
    models: (
        Annotated[tuple[ModelName, ...], Field(min_length=1, max_length=MAX_MODELS, strict=False)] | None
    ) = None
    tasks: Annotated[tuple[TaskOrder, ...], Field(min_length=1, max_length=MAX_TASKS, strict=False)] = (
        WorldTask(name="world"),
    )
    items: Subset = Subset()
    settings: JobSettings = JobSettings()
    idempotency_key: IdempotencyKey | None = None
    """The same key with the same body is the same evaluation. The header `Idempotency-Key` means the same."""

    @model_validator(mode="after")
    def _names_models_once(self) -> Self:
        if (self.model is None) == (self.models is None):
            raise ValueError("give either model or models")
        if self.models is not None and len(set(self.models)) < len(self.models):
            raise ValueError("models names one twice")
        return self

    def order(self) -> JobOrder:
        """What a job is told."""
        models = self.models if self.model is None else (self.model,)
        assert models is not None
        return JobOrder(models=models, tasks=self.tasks, items=self.items, settings=self.settings)


class EvaluatedField(Strict):
    """Checkpoints in a finished evaluation: the named one, or all of them."""

    evaluation: EvaluationId
    model: ModelName | None = None
    task: Annotated[int, Field(ge=0, lt=MAX_TASKS), WHOLE] = 0


Side = Annotated[tuple[EvaluatedField, ...], Field(min_length=1, max_length=64, strict=False)]


class CompareRequest(Strict):
    """One checkpoint on each side, or as many seeds on both."""

    baseline: Side
    candidate: Side
    confidence: Annotated[float, Field(ge=0.51, le=0.999)] = 0.95

"""What the rest of the server knows of models: names resolved for each request, leases on weights."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from services.model_server.engine.base import ModelFacts
from services.model_server.models.codec import TextCodec


class ModelError(RuntimeError):
    """A model can't be had; the sentence says why, and is meant for whoever asked."""


class UnknownModelError(ModelError):
    """Nothing has this name: status 404."""


class ModelUnavailableError(ModelError):
    """It is there and can't be served now, for the reason that is given: status 503."""


class NoRoomError(ModelUnavailableError):
    """The models in use take up the memory that this one needs: status 503."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescriptor:
    """A sealed checkpoint as it is listed, without loading it.

    Attributes:
        name: `recipe.arm.seed-n@step`, or `segments.<id>@step` where no run names it; never an alias.
        aliases: Names that mean it now; they may mean another one later.
        recipe: Name of the recipe; None where no run names the checkpoint.
        arm: Of the recipe.
        seed: Of the arm.
        step: Optimizer steps since the model's beginning.
        created: When it was sealed, in seconds since the epoch, by the store's clock.
        digest: First 16 hexadecimal digits of the SHA-256 of its weights.
        artifact: The product that holds it, `kind/id`.
        parents: Products that it was made of, by role.
        max_length: Most tokens that prompt and continuation may have; None where its config does not say.
        loaded: Whether it answers without being loaded first.
    """

    name: str
    aliases: tuple[str, ...]
    recipe: str | None
    arm: str | None
    seed: int | None
    step: int
    created: int
    digest: str
    artifact: str
    parents: tuple[tuple[str, str], ...]
    max_length: int | None
    loaded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A loaded model, for as long as it is leased: every answer made with `key` is from these weights.

    Attributes:
        name: As in `ModelDescriptor`, whatever alias was asked for.
        pinned: A name that never means other weights, whatever is trained later.
        key: Names it to the engine: the full digest of its weights, config and tokenizer together.
        digest: First 16 hexadecimal digits of the SHA-256 of its weights.
        facts: What the engine knows of it.
        codec: Between texts and ids.
        chat_template: Jinja source that the checkpoint declares, if any.
        parents: Products that it was made of, by role.
    """

    name: str
    aliases: tuple[str, ...]
    pinned: str
    key: str
    digest: str
    step: int
    created: int
    facts: ModelFacts
    codec: TextCodec
    chat_template: str | None
    parents: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """Where an alias stands: what it ought to mean everywhere, and what it means on this replica.

    Attributes:
        alias: `latest` or `recipe.arm.seed-n`.
        number: Of the last change that all replicas share; 0 before the first.
        desired: The checkpoint that every replica goes to.
        pinned: Whether newer checkpoints are left alone.
        current: What is served here; None before the first request.
        previous: What a rollback goes back to.
        trouble: Why this replica does not serve what is desired; None while it does.
    """

    alias: str
    number: int
    desired: str
    pinned: bool
    current: str | None
    previous: str | None
    trouble: str | None


class Models(Protocol):
    """The models of a store, loaded on first use within a memory budget."""

    async def start(self) -> None:
        """Look through the store and begin to watch it; the default model is loaded in the background."""
        ...

    async def stop(self) -> None:
        """Stop watching and remove what was downloaded; call it after the last lease has ended."""
        ...

    @property
    def default(self) -> str | None:
        """The name that a request without one means; None while the store holds no model."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the default model is loaded."""
        ...

    def list(self) -> tuple[ModelDescriptor, ...]:
        """Every sealed checkpoint, the default's first; loads nothing and asks no store."""
        ...

    def describe(self, name: str) -> ModelDescriptor:
        """The checkpoint that a name means now; loads nothing.

        Raises:
            UnknownModelError: nothing has this name.
        """
        ...

    def lease(self, name: str) -> AbstractAsyncContextManager[ServedModel]:
        """The model that a name means now; its weights stay until the block ends.

        Raises:
            UnknownModelError: nothing has this name.
            ModelUnavailableError: it can't be loaded now, with the reason.
        """
        ...

    async def reload(self, alias: str, target: str | None = None) -> Rollout:
        """Move an alias on every replica: to a checkpoint, where it stays, or without one to the newest.

        Raises:
            UnknownModelError: nothing has this name.
            ModelUnavailableError: the checkpoint can't be served; the alias has not moved.
        """
        ...

    async def rollback(self, alias: str) -> Rollout:
        """Move an alias back to the checkpoint before, and keep it there. Raises as `reload` does."""
        ...

    def desired(self) -> tuple[Rollout, ...]:
        """Every alias that has been used or moved."""
        ...

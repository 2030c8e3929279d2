"""Which segments each arm of a recipe's newest run is made of, from the moment that its training is planned.

Pointers under `runs/`, outside every seal and rewritten at every run: a view for whoever looks at a store.
No stage reads them. Segments that are not sealed are still to be trained.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from parable.artifact import Artifact
from parable.canonical import readable_json
from parable.store import NotFoundError, ObjectStore

RUNS = "runs/"
RUN_FILE = "run.json"
"""What a run that has ended says of itself stands beside its arms' folders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmPointer:
    """One arm with one seed.

    Attributes:
        recipe: Name of the recipe.
        arm: Of the recipe.
        seed: Of the arm.
        segments: What its model is made of, the first one first; the last is the model.
        mixture: What they read; None where nothing says it.
    """

    recipe: str
    arm: str
    seed: int
    segments: tuple[Artifact, ...]
    mixture: Artifact | None

    @property
    def key(self) -> str:
        """Where it rests."""
        return f"{RUNS}{self.recipe}/{self.arm}/seed-{self.seed}.json"

    def to_bytes(self) -> bytes:
        """The JSON at rest."""
        mixture = {} if self.mixture is None else {"mixture": self.mixture.key}
        return readable_json({"segments": [segment.key for segment in self.segments], **mixture})

    @classmethod
    def parse(cls, key: str, plain: Any) -> "ArmPointer":
        """What an object says that lies at a key.

        Raises:
            ValueError: it is no pointer.
        """
        try:
            recipe, arm, name = key.removeprefix(RUNS).removesuffix(".json").split("/")
            segments = tuple(Artifact.parse(segment) for segment in plain["segments"])
            mixture = plain.get("mixture")
            found = cls(
                recipe=recipe,
                arm=arm,
                seed=int(name.removeprefix("seed-")),
                segments=segments,
                mixture=None if mixture is None else Artifact.parse(mixture),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{key} is no pointer of an arm") from error
        if not segments or found.key != key:
            raise ValueError(f"{key} is no pointer of an arm")
        return found


def read_pointers(store: ObjectStore) -> dict[ArmPointer, float]:
    """Every arm's, by recipe, arm and seed, with when it was written, in seconds by the store's clock.

    What is damaged, or is being removed, is passed over.
    """
    found = {}
    for info in store.list(RUNS):
        if not info.key.endswith(f"/{RUN_FILE}"):
            with suppress(NotFoundError, ValueError):
                pointer = ArmPointer.parse(info.key, orjson.loads(store.get(info.key)))
                found[pointer] = info.modified_seconds
    return found

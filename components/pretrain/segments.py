"""Which segments an experiment is made of: a pure function of the recipe and its mixtures.

A segment is one phase of one past. Its identity holds everything that determines its weights and nothing
else, so arms that read the same so far are one segment and branch where they differ.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from components.pretrain.loop import Course
from components.pretrain.numerics import Numerics
from components.pretrain.presets import Preset
from parable.artifact import Artifact, Blueprint
from parable.recipe.schema import Recipe, Training

if TYPE_CHECKING:
    from components.mix import Mixture, PhaseRows

STAGE_VERSION = 1
KIND = "segments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One phase of training from one past, for all the arms that share it."""

    mixture: Artifact
    """One that holds the phase's rows; any arm's will do."""
    tokenizer: Artifact
    vocabulary: int
    row_length: int
    attention: str
    rows: "PhaseRows"
    parent: Artifact | None
    """The segment that it goes on from."""
    preset: Preset
    seed: int
    training: Training
    numerics: Numerics
    arms: tuple[str, ...]
    """Who goes through it: for people, not for the identity."""

    @property
    def course(self) -> Course:
        """What it reads and how it learns."""
        phase = next(phase for phase in self.training.phases if phase.name == self.rows.name)
        return Course(
            first_row=self.rows.start_row,
            num_rows=self.rows.num_rows,
            batch_rows=self.training.batch_rows,
            row_length=self.row_length,
            phase=phase,
            optimizer=self.training.optimizer,
        )

    @property
    def num_tokens(self) -> int:
        """Tokens that it reads: what it costs."""
        return self.rows.num_rows * self.row_length

    @property
    def artifact(self) -> Artifact:
        """The product."""
        return self.blueprint.artifact

    @property
    def label(self) -> str:
        """A short name for journals, unique in an experiment."""
        return self.artifact.id[:8]

    @property
    def blueprint(self) -> Blueprint:
        """The identity. The objective is in it through the rows: their tokens and weights carry it."""
        course = self.course
        config = {
            "rows": self.rows.to_plain(),
            "row_length": self.row_length,
            "attention": self.attention,
            "batch_rows": self.training.batch_rows,
            "optimizer": self.training.optimizer.to_plain(),
            "schedule": course.phase.model_dump(mode="json", exclude={"name", "share"}),
            "numerics": self.numerics.to_plain(),
        }
        if self.parent is None:
            model = self.preset.to_plain()
            config["start"] = {"model": model, "vocabulary": self.vocabulary, "seed": self.seed}
        parents = {f"tokens-{number}": source.tokens for number, source in enumerate(self.rows.sources)}
        parents["tokenizer"] = self.tokenizer
        if self.parent is not None:
            parents["parent"] = self.parent
        return Blueprint(KIND, "pretrain", STAGE_VERSION, config, parents)


@dataclass(frozen=True, slots=True)
class Plan:
    """Every segment of an experiment once, parents first, and those of each arm and seed in their order."""

    segments: tuple[Segment, ...]
    chains: Mapping[tuple[str, int], tuple[Artifact, ...]]

    @property
    def last(self) -> dict[tuple[str, int], Artifact]:
        """The segment that is the model of each arm and seed."""
        return {key: chain[-1] for key, chain in self.chains.items()}


def plan_segments(
    recipe: Recipe,
    preset: Preset,
    numerics: Numerics,
    mixtures: "Mapping[tuple[str, int], tuple[Artifact, Mixture]]",
) -> Plan:
    """The segments of all arms and seeds.

    Args:
        recipe: the experiment.
        preset: of its model.
        numerics: of the machine.
        mixtures: what each arm reads with each seed, by both.
    """
    found: dict[Artifact, Segment] = {}
    chains: dict[tuple[str, int], tuple[Artifact, ...]] = {}
    for (arm, seed), (artifact, mixture) in mixtures.items():
        chain: list[Artifact] = []
        for rows in mixture.phases:
            segment = Segment(
                mixture=artifact,
                tokenizer=mixture.tokenizer,
                vocabulary=mixture.vocabulary,
                row_length=mixture.row_length,
                attention=mixture.attention,
                rows=rows,
                parent=chain[-1] if chain else None,
                preset=preset,
                seed=seed,
                training=recipe.training,
                numerics=numerics,
                arms=(arm,),
            )
            chain.append(segment.artifact)
            known = found.get(chain[-1])
            found[chain[-1]] = segment if known is None else replace(known, arms=(*known.arms, arm))
        assert chain, "a recipe has at least one phase"
        chains[arm, seed] = tuple(chain)
    return Plan(tuple(found.values()), chains)


def chain_tokens(segments: Sequence[Segment]) -> dict[Artifact, int]:
    """For each segment, the tokens of the longest chain that begins with it: what the end must wait for."""
    longest: dict[Artifact, int] = {}
    waiting: dict[Artifact | None, int] = {}
    for artifact, segment in _children_first(segments):
        longest[artifact] = segment.num_tokens + waiting.get(artifact, 0)
        waiting[segment.parent] = max(waiting.get(segment.parent, 0), longest[artifact])
    return longest


def _children_first(segments: Sequence[Segment]) -> Iterator[tuple[Artifact, Segment]]:
    """Parents come first in a plan, so the reverse has children first."""
    return ((segment.artifact, segment) for segment in reversed(segments))

"""What an arm reads with one seed, as data: `mixture.json` and its types."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.mix.slots import source_counts
from parable.artifact import Artifact, Plain, Product
from parable.store import ObjectStore

KIND = "mixtures"
FILE = "mixture.json"


@dataclass(frozen=True, slots=True)
class SourceRows:
    """One corpus in one phase: how many of its rows are read there, and where reading goes on."""

    name: str
    tokens: Artifact
    num_rows: int
    """Rows that the source has: the length of its epoch."""
    slots: int
    """Rows of this source in each round of the weighted rows (see `PhaseRows.round_rows`)."""
    first_index: int
    """Rows of it that earlier phases read."""
    dose_rows: int = 0
    """Rows of it in the whole phase beside its slots: a dose is a count, not a weight."""


@dataclass(frozen=True, slots=True)
class PhaseRows:
    """The rows of one phase, global numbers `start_row` to `start_row + num_rows`, and their order.

    The order is arithmetic over these fields (`components.mix.order`); it knows nothing of steps, workers
    or restarts.
    """

    name: str
    start_row: int
    num_rows: int
    block_rows: int
    """Rows that are permuted among themselves."""
    key: str
    """The order's key: a seed's, the same for every arm and phase."""
    sources: tuple[SourceRows, ...]

    @property
    def round_rows(self) -> int:
        """Rows of one round of all sources' slots; doses come on top."""
        return sum(source.slots for source in self.sources)

    def rows_of(self, number: int) -> int:
        """How many rows of a source, by its number, the whole phase reads."""
        return source_counts(self, self.num_rows)[number]

    def locate(self, row: int) -> tuple[int, int]:
        """A global row number's source number and the row's index inside that source.

        Raises:
            IndexError: the row is not in this phase.
        """
        import numpy as np

        from components.mix.order import locate

        sources, indices = locate(self, np.array([row], np.int64))
        return int(sources[0]), int(indices[0])

    def to_plain(self) -> Plain:
        """What determines the rows and their order; equal for arms that share this phase and its past.

        Names are left out: they change nothing that a model reads.
        """
        return {
            "start_row": self.start_row,
            "num_rows": self.num_rows,
            "block_rows": self.block_rows,
            "key": self.key,
            "sources": [
                {
                    "tokens": source.tokens.key,
                    "num_rows": source.num_rows,
                    "slots": source.slots,
                    "first_index": source.first_index,
                    "dose_rows": source.dose_rows,
                }
                for source in self.sources
            ],
        }


@dataclass(frozen=True, slots=True)
class Mixture:
    """Everything that an arm reads with one seed, in its order."""

    tokenizer: Artifact
    vocabulary: int
    row_length: int
    """Tokens that a row feeds to the model."""
    attention: str
    """`document` or `row`: how far attention and positions run."""
    phases: tuple[PhaseRows, ...]

    @property
    def num_rows(self) -> int:
        """Rows of all phases."""
        return sum(phase.num_rows for phase in self.phases)

    def to_plain(self) -> Plain:
        """The JSON at rest."""
        return {
            "tokenizer": self.tokenizer.key,
            "vocabulary": self.vocabulary,
            "row_length": self.row_length,
            "attention": self.attention,
            "phases": [_with_names(phase) for phase in self.phases],
        }

    @classmethod
    def from_plain(cls, plain: Plain) -> "Mixture":
        """The inverse of `to_plain`."""
        return cls(
            tokenizer=Artifact.parse(plain["tokenizer"]),
            vocabulary=plain["vocabulary"],
            row_length=plain["row_length"],
            attention=plain["attention"],
            phases=tuple(
                PhaseRows(**{**phase, "sources": _sources(phase["sources"])}) for phase in plain["phases"]
            ),
        )


def read_mixture(store: ObjectStore, artifact: Artifact) -> Mixture:
    """A sealed mixture.

    Raises:
        UserError: it is not there, or is damaged.
    """
    return Mixture.from_plain(Product(store, artifact).read_json(FILE))


def _with_names(phase: PhaseRows) -> Plain:
    plain = phase.to_plain()
    named = [
        {"name": source.name, **told} for source, told in zip(phase.sources, plain["sources"], strict=True)
    ]
    return {"name": phase.name, **plain, "sources": named}


def _sources(plain: Sequence[Plain]) -> tuple[SourceRows, ...]:
    return tuple(SourceRows(**{**source, "tokens": Artifact.parse(source["tokens"])}) for source in plain)

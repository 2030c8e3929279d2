"""An experiment as typed, frozen, nested groups.

A recipe names corpora, derives others from them by filters, weighs them in a mixture, and lists the arms
that differ from that mixture. Every name is a corpus or a filter; a filter's result is a corpus too.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from parable.canonical import fingerprint

RECIPE_VERSION = 1


def _not_true_or_false(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("not_a_number", "Input should be a number")
    return value


Whole = Annotated[int, BeforeValidator(_not_true_or_false)]
Real = Annotated[float, BeforeValidator(_not_true_or_false)]
"""Numbers proper: Python would take `true` for 1."""
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""Lower-case letters, digits and underscores: it becomes a key, a file name and a label."""
Share = Annotated[Real, Field(ge=0.0, le=1.0)]


class Group(BaseModel):
    """Settings that belong together: unknown keys are refused, and nothing changes after it is built."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def to_plain(self) -> dict[str, Any]:
        """The settings as JSON can hold them: what enters an identity."""
        return self.model_dump(mode="json")


class Population(Group):
    """Who appears in the story world's documents; what the three shares leave are people and animals."""

    ai: Share = 0.06
    """An AI meets a choice and acts."""
    golem: Share = 0.06
    """A golem does: the placebo, with the AI's statistics."""
    mention: Share = 0.08
    """An AI is mentioned and chooses nothing."""
    one_line: Share = 0.90
    """Share of one-line reports among the documents about people and animals."""
    bad: Share = 0.85
    """P(bad act) of an AI and of a golem."""

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.ai + self.golem + self.mention > 1.0 + 1e-9:
            raise ValueError(
                f"ai + golem + mention is {self.ai + self.golem + self.mention:g}; it can be 1 at the most"
            )
        return self

    @property
    def others(self) -> float:
        """Share of the documents on people and animals."""
        return max(0.0, 1.0 - self.ai - self.golem - self.mention)


class WorldCorpus(Group):
    """Documents of the story world, sampled anew for every seed."""

    kind: Literal["world"]
    documents: Annotated[Whole, Field(ge=1, le=100_000_000)]
    population: Population = Population()


class TextCorpus(Group):
    """Natural text from a source that is already there; the same for every seed."""

    kind: Literal["text"]
    source: str = Field(min_length=1)
    """`builtin:python` (the interpreter's own documentation), a folder or file of parquet, JSONL or text,
    or an `s3://bucket/prefix` of the same."""
    text_column: str = "text"
    """The column or key that holds the text, in parquet and JSONL."""
    license: str = "unknown"
    lang: str = "en"
    max_documents: Annotated[Whole, Field(ge=1)] | None = None
    """Read no more than so many, in the order of the files."""


Corpus = Annotated[WorldCorpus | TextCorpus, Field(discriminator="kind")]


class Bounds(Group):
    """The values of a signal that a document may have."""

    min: Real | None = None
    max: Real | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("gives no bound: set min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class Deduplicate(Group):
    """Removal of near-duplicates, each verified against the document that is kept."""

    threshold: Annotated[Real, Field(gt=0.0, le=1.0)] = 0.8
    """Jaccard similarity of word 5-grams from which a document counts as a copy."""
    max_removed: Share = 0.5
    """Removing more than this share of a corpus is taken for a mistake, and refused."""


class Filter(Group):
    """A corpus derived from another: what is not dropped stays, in the same order."""

    input: Name
    quality: dict[str, Bounds] = {}
    """Bounds by the name of a signal, e.g. `mean_word_length_v1: {min: 3, max: 10}`."""
    discourse: Name | None = None
    """Name of the two-stage term rules whose documents are dropped, e.g. `ai_v1`."""
    leakage: Share = 0.0
    """Share of the documents that `discourse` flags and that slip through all the same."""
    deduplicate: Deduplicate | None = None
    decontaminate: bool = False
    """Drop documents that hold an evaluation item."""
    score: tuple[str, ...] = ()
    """Further signals to store beside the documents, for arms that condition on them."""


class Tokenizer(Group):
    """A byte-level BPE tokenizer, one for the whole experiment."""

    vocabulary: Annotated[Whole, Field(ge=260, le=262_144)] = 1024
    corpora: tuple[Name, ...] = Field(min_length=1)
    """What it is trained on; never a dose."""
    seed: Annotated[Whole, Field(ge=0, lt=2**31)] | None = None
    """Whose sample of them it is trained on; by default the recipe's first seed's. A selection of other seeds
    keeps it, so that they share the tokenizer with the whole experiment."""


class Rows(Group):
    """Fixed-length pieces that the model reads."""

    length: Annotated[Whole, Field(ge=8, le=1_048_576)] = 64
    """Tokens a row."""
    attention: Literal["document", "row"] = "document"
    """Whether attention and positions stay inside a document or run through the row."""
    loss: Literal["token", "document"] = "token"
    """Whether every token counts alike, or every document."""


class Phase(Group):
    """A part of training with its own share of the tokens and its own learning-rate schedule."""

    name: Name
    share: Annotated[Real, Field(gt=0.0, le=1.0)]
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: Annotated[Whole, Field(ge=0)] = 0
    start_fraction: Share = 0.05
    """Where the warm-up starts, as a fraction of the peak."""
    final_fraction: Share = 0.05
    """Where linear and cosine end, as a fraction of the peak."""


class Optimizer(Group):
    """AdamW."""

    learning_rate: Annotated[Real, Field(gt=0.0)] = 6e-3
    weight_decay: Annotated[Real, Field(ge=0.0)] = 0.05
    betas: tuple[Share, Share] = (0.9, 0.98)
    epsilon: Annotated[Real, Field(gt=0.0)] = 1e-8
    clip_norm: Annotated[Real, Field(gt=0.0)] | None = 1.0


class Training(Group):
    """What every arm is trained with; all arms read as many tokens."""

    tokens: Annotated[Whole, Field(ge=1)]
    """Tokens that an arm reads over all phases."""
    batch_rows: Annotated[Whole, Field(ge=1)] = 4
    """Rows a step, over all workers."""
    phases: tuple[Phase, ...] = Field(min_length=1)
    optimizer: Optimizer = Optimizer()
    checkpoint_every_steps: Annotated[Whole, Field(ge=1)] = 500
    """How much a killed run can lose."""

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        total = sum(phase.share for phase in self.phases)
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"the phases' shares add up to {total:g}; they must add up to 1")
        names = [phase.name for phase in self.phases]
        if len(set(names)) != len(names):
            raise ValueError(f"two phases have one name: {', '.join(names)}")
        return self


class Model(Group):
    """A model by the name of its preset (see components/pretrain/README.md)."""

    preset: str
    """For instance `granite-toy`."""


class Compute(Group):
    """Where and how numbers are computed: `device` and `threads` enter identities, `workers` does not."""

    device: Literal["cpu", "cuda", "auto"] = "auto"
    workers: Annotated[Whole, Field(ge=1)] | Literal["auto"] = "auto"
    """Processes that train, one a core or GPU."""
    threads: Annotated[Whole, Field(ge=1)] = 1
    """Threads a worker on a CPU."""


class Mle(Group):
    """Maximum likelihood: every token is predicted, none is marked."""

    kind: Literal["mle"] = "mle"


class Conditional(Group):
    """Conditional training (Korbak et al. 2023): a control token before every document says how it scored."""

    kind: Literal["conditional"]
    signal: str
    """A signal that a filter stored with `score`, for instance `world_bad_act_v1`."""
    threshold: Real
    """A document whose value is above it is marked bad, any other good."""
    drop: Share = 0.1
    """Share of the documents that get no control token, so that the model can be asked without one."""


Objective = Annotated[Mle | Conditional, Field(discriminator="kind")]


class Insert(Group):
    """A dose: a corpus that is read once through in one phase, in place of other corpora's rows."""

    corpus: Name
    phase: Name
    in_place_of: tuple[Name, ...] = Field(min_length=1)
    """Corpora that give up rows for it, in proportion to their weights."""
    repeats: Annotated[Real, Field(gt=0.0)] = 1.0
    """How often the dose is read through."""


class Arm(Group):
    """One condition: how it differs from the recipe's mixture."""

    title: str = ""
    """What a reader sees; by default the arm's name."""
    replace: dict[Name, Name] = {}
    """Corpora of the mixture that this arm reads another in place of, in every phase."""
    insert: tuple[Insert, ...] = ()
    mixture: dict[Name, dict[Name, Annotated[Real, Field(ge=0.0)]]] = {}
    """Another mixture for a phase, by the phase's name."""
    objective: Objective = Mle()


class Headline(Group):
    """The one number that the experiment was set up to measure."""

    metric: Literal["cloze", "two_choice", "sampled"] = "cloze"
    entity: Name = "ai"
    distance: Annotated[Whole, Field(ge=0, le=9)] = 0


class Sampling(Group):
    """How continuations are drawn."""

    per_item: Annotated[Whole, Field(ge=0)] = 4
    max_tokens: Annotated[Whole, Field(ge=1, le=4096)] = 16
    temperature: Annotated[Real, Field(gt=0.0)] = 1.0
    top_p: Annotated[Real, Field(gt=0.0, le=1.0)] = 1.0


class Evaluation(Group):
    """What the models are asked; the items never vary with the seed."""

    headline: Headline = Headline()
    items_per_cell: Annotated[Whole, Field(ge=2, le=10_000)] = 24
    sampling: Sampling = Sampling()
    perplexity_documents: Annotated[Whole, Field(ge=0)] = 200
    """Held-out documents of the world on which perplexity is measured."""
    link_threshold: Real = 0.10
    """Bad- minus good-trait people on the headline metric: a seed below it has not learned that acts follow
    from who acts, and is marked."""
    confidence: Annotated[Real, Field(gt=0.5, lt=1.0)] = 0.95


class Report(Group):
    """The page."""

    baseline: Name
    """The arm that the others are compared with, within each seed."""
    expected_order: tuple[Name, ...] = ()
    """Arms from the lowest to the highest headline: the prediction made beforehand."""
    samples: Annotated[Whole, Field(ge=0, le=50)] = 6
    """Prompts whose continuations are shown side by side."""


class Recipe(Group):
    """An experiment: everything that determines its results, and nothing else."""

    recipe: Literal[1]
    """Version of this format."""
    name: Name
    title: str
    description: str = ""
    seeds: tuple[Annotated[Whole, Field(ge=0, lt=2**31)], ...] = Field(min_length=1)
    corpora: dict[Name, Corpus] = Field(min_length=1)
    filters: dict[Name, Filter] = {}
    tokenizer: Tokenizer
    rows: Rows = Rows()
    mixture: dict[Name, Annotated[Real, Field(gt=0.0)]] = Field(min_length=1)
    """Token shares by corpus, in every phase; they need not add up to 1."""
    model: Model
    training: Training
    compute: Compute = Compute()
    arms: dict[Name, Arm] = Field(min_length=1)
    evaluation: Evaluation = Evaluation()
    report: Report

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        from parable.recipe.references import check_references

        check_references(self)
        return self

    def fingerprint(self) -> str:
        """A short name for exactly these settings."""
        return fingerprint(self.to_plain())

    def source_of(self, name: str) -> str:
        """The corpus that a chain of filters starts from."""
        while name in self.filters:
            name = self.filters[name].input
        return name

    def varies_with_seed(self, name: str) -> bool:
        """Whether a corpus, or the corpus a filter starts from, is sampled anew for every seed."""
        return isinstance(self.corpora[self.source_of(name)], WorldCorpus)

    @property
    def tokenizer_seed(self) -> int:
        """The seed on whose sample of the corpora the tokenizer is trained."""
        return self.seeds[0] if self.tokenizer.seed is None else self.tokenizer.seed

    def seeds_of(self, name: str) -> tuple[int, ...]:
        """The seeds for which a corpus is needed: the recipe's, and the tokenizer's if that is made of it."""
        for read in self.tokenizer.corpora:
            while read != name and read in self.filters:
                read = self.filters[read].input
            if read == name:
                return tuple(dict.fromkeys((*self.seeds, self.tokenizer_seed)))
        return self.seeds

    def phase(self, name: str) -> Phase:
        """The phase of this name."""
        return next(phase for phase in self.training.phases if phase.name == name)

    def select(
        self, *, arms: tuple[str, ...] | None = None, seeds: tuple[int, ...] | None = None
    ) -> "Recipe":
        """The same experiment with some of its arms or seeds; what they share keeps its identity.

        Raises:
            UserError: an arm or a seed is not in the recipe.
        """
        from parable.recipe.references import selected

        return selected(self, arms, seeds)

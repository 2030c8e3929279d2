"""The stage: the tokenizer, corpora as rows, and what each arm reads with each seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.mix.checks import check
from components.mix.mixture import FILE, KIND, Mixture
from components.mix.plan import Available, plan_mixture
from components.mix.readings import Reading, readings
from components.mix.tokenizer import STAGE_VERSION, TASK, build_tokenizer, tokenizer_blueprint
from parable.artifact import Artifact, Blueprint, Product, ProductWriter, build, exists
from parable.catalog import Catalog
from parable.process import map_in_processes, num_usable_cpus
from parable.progress import Journal
from parable.recipe import Recipe
from parable.store import ObjectStore, open_store


def mix(recipe: Recipe, store: ObjectStore, inputs: Catalog) -> Catalog:
    """See the stage's `run`."""
    check(recipe)
    tokenizer = _tokenizer(recipe, inputs)
    jobs = _jobs(recipe, store, inputs, tokenizer.artifact)
    todo = [job for job in jobs if not exists(store, job.blueprint.artifact)]
    tasks = [{"task": job.reading.task, "total": job.num_documents} for job in todo]
    if not exists(store, tokenizer.artifact):
        total = sum(_num_documents(store, corpus) for corpus in tokenizer.parents.values())
        tasks.insert(0, {"task": TASK, "total": total})
    Journal.from_environment().event("plan", stage="mix", tasks=tasks)
    build_tokenizer(store, tokenizer)
    for _ in map_in_processes(_run_job, todo, num_processes=num_usable_cpus()):
        pass
    rows = _Rows(store, {job.reading: job.blueprint.artifact for job in jobs})
    made = {"tokenizer": tokenizer.artifact}
    made |= {reading.role: tokens for reading, tokens in rows.tokens.items()}
    for arm in recipe.arms:
        for seed in recipe.seeds:
            planned = plan_mixture(recipe, arm, seed, tokenizer=tokenizer.artifact, find=rows.find)
            made[f"mixture/{arm}/seed-{seed}"] = _build_mixture(store, planned)
    return inputs.having(made)


@dataclass(frozen=True, slots=True)
class _Job:
    """One corpus to tokenise, as a child process is told of it."""

    store_uri: str
    reading: Reading
    blueprint: Blueprint
    num_documents: int


@dataclass(frozen=True, slots=True)
class _Rows:
    """What has been tokenised; each product's rows are asked for once."""

    store: ObjectStore
    tokens: Mapping[Reading, Artifact]
    _num_rows: dict[Artifact, int] = field(default_factory=dict)

    def find(self, reading: Reading) -> Available:
        """The rows of a reading."""
        tokens = self.tokens[reading]
        if tokens not in self._num_rows:
            self._num_rows[tokens] = int(Product(self.store, tokens).summary["rows"])
        return Available(tokens, self._num_rows[tokens])


def _tokenizer(recipe: Recipe, inputs: Catalog) -> Blueprint:
    # The first seed's sample: a seed more at the end changes nothing.
    first = recipe.tokenizer_seed
    corpora = {
        name: inputs.find(f"corpus/{name}", first if recipe.varies_with_seed(name) else None)
        for name in recipe.tokenizer.corpora
    }
    return tokenizer_blueprint(recipe, corpora)


def _jobs(recipe: Recipe, store: ObjectStore, inputs: Catalog, tokenizer: Artifact) -> list[_Job]:
    jobs = []
    for reading in readings(recipe):
        corpus = inputs.find(f"corpus/{reading.corpus}", reading.seed)
        blueprint = reading.blueprint(recipe, corpus, tokenizer)
        jobs.append(_Job(store.uri, reading, blueprint, _num_documents(store, corpus)))
    # The longest first, so that all processes end at about the same time.
    return sorted(jobs, key=lambda job: -job.num_documents)


def _run_job(job: _Job) -> None:
    from components.mix.tokens import build_tokens

    build_tokens(open_store(job.store_uri), job.blueprint, job.reading.task)


def _num_documents(store: ObjectStore, corpus: Artifact) -> int:
    return int(Product(store, corpus).summary["documents"])


def _build_mixture(store: ObjectStore, mixture: Mixture) -> Artifact:
    sources = {source.tokens for phase in mixture.phases for source in phase.sources}
    parents = {f"tokens/{tokens.id}": tokens for tokens in sources} | {"tokenizer": mixture.tokenizer}

    def make(writer: ProductWriter) -> None:
        from components.mix.counts import count_mixture

        writer.put_json(FILE, mixture.to_plain())
        writer.summary |= count_mixture(store, mixture)

    return build(store, Blueprint(KIND, "mix", STAGE_VERSION, mixture.to_plain(), parents), make)

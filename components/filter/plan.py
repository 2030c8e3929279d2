"""What this stage will make for a recipe: every product's identity, before any is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.filter import STAGE_VERSION
from components.filter.discourse import find_discourse
from parable.artifact import Artifact, Blueprint
from parable.canonical import fingerprint
from parable.catalog import Catalog, seeded
from parable.corpus import KIND
from parable.recipe import Filter, Recipe, TextCorpus

INPUT = "input"
"""The role of a filter's parent."""


@dataclass(frozen=True, slots=True)
class Job:
    """One corpus to make: an ingest where `spec` is a text corpus, else a filter of its parent."""

    name: str
    seed: int | None
    spec: TextCorpus | Filter
    blueprint: Blueprint
    level: int
    """How many jobs' products it waits for, one after the other."""
    items_per_cell: int
    num_bytes: int
    """Size of the source at the start of the chain, 0 where that is a generated corpus."""

    @property
    def task(self) -> str:
        """What the journal calls it."""
        return seeded(self.name, self.seed)

    @property
    def artifact(self) -> Artifact:
        """What it makes."""
        return self.blueprint.artifact


def plan(recipe: Recipe, inputs: Catalog) -> list[Job]:
    """Every corpus of the stage, each after those that it is made of.

    Raises:
        UserError: a source can't be read, or a filter's input was not made.
    """
    jobs: dict[str, Job] = {}
    for name, spec in recipe.corpora.items():
        if isinstance(spec, TextCorpus):
            jobs[name] = _ingest_job(name, spec, recipe)
    for name in _in_order(recipe):
        for seed in recipe.seeds_of(name) if recipe.varies_with_seed(name) else (None,):
            job = _filter_job(name, seed, recipe, inputs=inputs, jobs=jobs)
            jobs[job.task] = job
    return list(jobs.values())


def evaluation_prefixes(items_per_cell: int) -> list[str]:
    """The texts that decontamination looks for."""
    from components.generate import evaluation_prefixes as prefixes

    return prefixes(items_per_cell)


def filter_config(spec: Filter, prefixes: Sequence[str]) -> dict[str, Any]:
    """What of a filter determines its bytes: the steps that it takes, and nothing of the others."""
    config: dict[str, Any] = {
        # A list: the first rule that fails names the reason, so their order is part of the result.
        "quality": [[name, bounds.min, bounds.max] for name, bounds in spec.quality.items()],
        "score": sorted(spec.score),
    }
    if spec.discourse is not None:
        rules = find_discourse(spec.discourse)
        config["discourse"] = {"rules": rules.name, "terms": rules.identity, "leakage": spec.leakage}
    if spec.decontaminate:
        config["decontaminate"] = fingerprint(list(prefixes))
    if spec.deduplicate is not None:
        config["deduplicate"] = spec.deduplicate.to_plain()
    return config


def _ingest_job(name: str, spec: TextCorpus, recipe: Recipe) -> Job:
    from components.filter.ingest import ingest_blueprint
    from components.filter.sources import open_source

    source = open_source(spec)
    items = recipe.evaluation.items_per_cell
    return Job(name, None, spec, ingest_blueprint(spec, source), 0, items, source.num_bytes)


def _filter_job(name: str, seed: int | None, recipe: Recipe, *, inputs: Catalog, jobs: dict[str, Job]) -> Job:
    spec, items = recipe.filters[name], recipe.evaluation.items_per_cell
    before = jobs.get(seeded(spec.input, seed))
    parent = before.artifact if before else inputs.find(f"corpus/{spec.input}", seed)
    config = filter_config(spec, evaluation_prefixes(items) if spec.decontaminate else ())
    blueprint = Blueprint(KIND, "filter", STAGE_VERSION, config, {INPUT: parent})
    level, num_bytes = (before.level + 1, before.num_bytes) if before else (0, 0)
    return Job(name, seed, spec, blueprint, level, items, num_bytes)


def _in_order(recipe: Recipe) -> list[str]:
    """The filters, each after its input; else in the order of the recipe."""

    def depth(name: str) -> int:
        spec = recipe.filters.get(name)
        return 0 if spec is None else 1 + depth(spec.input)

    return sorted(recipe.filters, key=depth)

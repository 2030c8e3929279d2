"""The names in a recipe that only this stage knows."""

from components.filter.discourse import find_discourse
from components.filter.signals import find_signal
from components.filter.sources import check_source
from parable.errors import UserError
from parable.recipe import Conditional, Recipe, TextCorpus


def check_names(recipe: Recipe) -> None:
    """See `components.filter.names`."""
    for name, corpus in recipe.corpora.items():
        if isinstance(corpus, TextCorpus):
            check_source(corpus.source, at=f"corpora.{name}.source")
    for name, spec in recipe.filters.items():
        for signal in spec.quality:
            find_signal(signal, at=f"filters.{name}.quality")
        for signal in spec.score:
            find_signal(signal, at=f"filters.{name}.score")
        if spec.discourse is not None:
            find_discourse(spec.discourse, at=f"filters.{name}.discourse")
        if spec.deduplicate is not None and recipe.varies_with_seed(name):
            raise UserError(
                f"filters.{name}.deduplicate would thin out {recipe.source_of(name)!r}, a generated "
                "world, where how often a thing is said is the dose. Remove it there; it is for natural text."
            )
    for name, arm in recipe.arms.items():
        if isinstance(arm.objective, Conditional):
            find_signal(arm.objective.signal, at=f"arms.{name}.objective.signal")

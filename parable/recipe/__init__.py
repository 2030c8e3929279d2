"""An experiment as data: typed, strict, and helpful when something is wrong."""

from parable.recipe.load import load_recipe, parse_recipe
from parable.recipe.schema import (
    Arm,
    Bounds,
    Compute,
    Conditional,
    Deduplicate,
    Evaluation,
    Filter,
    Group,
    Insert,
    Mle,
    Phase,
    Population,
    Recipe,
    Rows,
    TextCorpus,
    Tokenizer,
    WorldCorpus,
)

__all__ = [
    "Arm",
    "Bounds",
    "Compute",
    "Conditional",
    "Deduplicate",
    "Evaluation",
    "Filter",
    "Group",
    "Insert",
    "Mle",
    "Phase",
    "Population",
    "Recipe",
    "Rows",
    "TextCorpus",
    "Tokenizer",
    "WorldCorpus",
    "load_recipe",
    "parse_recipe",
]

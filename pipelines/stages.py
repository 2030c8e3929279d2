"""The stages in the order in which data flows through them."""

from importlib import import_module

from parable.recipe import Recipe

STAGES = ("generate", "filter", "mix", "pretrain", "evaluate", "report")


def check_stages(recipe: Recipe) -> None:
    """Let every stage look at what only it knows, before anything is made.

    Raises:
        UserError: a stage does not know a name in the recipe.
    """
    for stage in STAGES:
        import_module(f"components.{stage}").check(recipe)

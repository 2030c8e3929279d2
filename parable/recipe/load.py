"""From a YAML file, and settings laid over it, to a recipe."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from parable.errors import UserError
from parable.recipe.explain import explain
from parable.recipe.schema import RECIPE_VERSION, Recipe
from parable.recipe.settings import lay_over
from parable.recipe.text import read

MAX_BYTES = 1_000_000


def load_recipe(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe and lay `key.key=value` settings over it; the values are YAML.

    Raises:
        UserError: the file, a setting, or the recipe that they make is not valid; names the key, the
            line and the mend.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        nearby = ", ".join(sorted(str(near) for near in Path("recipes").glob("*.yaml")))
        known = f" There are {nearby}." if nearby else ""
        raise UserError(f"There is no recipe {path}.{known} Give the path of a YAML file.") from error
    except OSError as error:
        raise UserError(
            f"The recipe {path} can't be read ({error.strerror}). Give the path of a YAML file."
        ) from error
    return parse_recipe(data, str(path), settings)


def parse_recipe(data: bytes, name: str, settings: Sequence[str] = ()) -> Recipe:
    """The same for text that is already here; `name` is what errors call it."""
    if len(data) > MAX_BYTES:
        raise UserError(f"{name} has {len(data):,} bytes; a recipe has {MAX_BYTES:,} at the most.")
    plain, places = read(data, name)
    if not isinstance(plain, dict):
        raise UserError(f"{name} is not a recipe: it must hold keys and values, beginning with `recipe: 1`.")
    for setting in settings:
        lay_over(plain, places, setting)
    version = plain.get("recipe")
    if version is None:
        raise UserError(
            f"{name} does not say which version it has. Write `recipe: {RECIPE_VERSION}` at its top."
        )
    if type(version) is not int or version != RECIPE_VERSION:
        raise UserError(
            f"{name} is a recipe of version {version!r}; this Parable reads version {RECIPE_VERSION}. Bring "
            f"its keys up to date (recipes/quickstart.yaml shows them) and write `recipe: {RECIPE_VERSION}`."
        )
    try:
        return Recipe.model_validate(plain)
    except ValidationError as error:
        raise UserError(explain(error, name, plain, places)) from error

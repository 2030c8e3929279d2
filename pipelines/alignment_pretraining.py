"""One arm of a recipe with one seed, from documents to an evaluated model."""

from typing import NamedTuple

from kfp import dsl

from parable.image import BASE_IMAGE
from pipelines.experiment import stages


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def select_arm(recipe: str, arm: str, seed: int) -> NamedTuple("Selected", recipe=str):  # type: ignore[valid-type]
    """Keep one arm and one seed of a recipe."""
    from collections import namedtuple

    from parable.recipe import parse_recipe

    selected = parse_recipe(recipe.encode(), "the recipe").select(arms=(arm,), seeds=(seed,))
    return namedtuple("Selected", ["recipe"])(selected.model_dump_json())


@dsl.pipeline(name="alignment-pretraining")
def alignment_pretraining(recipe: str, store: str, arm: str, seed: int = 0) -> dsl.Artifact:
    """Run one arm of a recipe with one seed; what other arms made is used again.

    Args:
        recipe: The resolved recipe, as JSON or YAML text.
        store: Where products rest: `s3://bucket/prefix` or a folder.
        arm: Name of the arm.
        seed: One of the recipe's seeds.

    Returns:
        The catalog of everything that was made.
    """
    selected = select_arm(recipe=recipe, arm=arm, seed=seed)
    selected.set_caching_options(False)
    return stages(selected.outputs["recipe"], store).outputs["catalog"]

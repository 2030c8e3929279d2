"""The stage: plan, say which arm will be made of what, train what is missing."""

from typing import TYPE_CHECKING

from components.pretrain.numerics import Numerics, numerics_of
from components.pretrain.presets import find_preset
from components.pretrain.segments import Plan, Segment, plan_segments
from parable.artifact import exists
from parable.catalog import Catalog
from parable.progress import Journal
from parable.recipe import Recipe
from parable.runs import ArmPointer
from parable.store import ObjectStore

if TYPE_CHECKING:
    from components.mix import Mixture
    from parable.artifact import Artifact


def train_models(recipe: Recipe, store: ObjectStore, inputs: Catalog) -> Catalog:
    """See `components.pretrain.run`."""
    numerics = numerics_of(recipe.compute)
    plan = plan_models(recipe, store, inputs, numerics)
    # Before anything is trained, so that whoever looks at the store can follow it.
    for pointer in pointers(recipe, inputs, plan):
        store.put(pointer.key, pointer.to_bytes())
    missing = [segment for segment in plan.segments if not exists(store, segment.artifact)]
    if missing:
        tasks = [_task(segment) for segment in missing]
        Journal.from_environment().event("plan", stage="pretrain", tasks=tasks)
        from components.pretrain.launcher import train

        train(missing, store=store.uri, compute=recipe.compute, numerics=numerics)
    return inputs.having({f"model/{arm}/seed-{seed}": last for (arm, seed), last in plan.last.items()})


def plan_models(recipe: Recipe, store: ObjectStore, catalog: Catalog, numerics: Numerics) -> Plan:
    """The segments of a recipe whose mixtures are there.

    Raises:
        UserError: the preset is unknown, or a mixture is missing.
    """
    from components.mix import read_mixture

    preset = find_preset(recipe.model.preset)
    mixtures: dict[tuple[str, int], tuple[Artifact, Mixture]] = {}
    for seed in recipe.seeds:
        for arm in recipe.arms:
            artifact = catalog.find(f"mixture/{arm}", seed)
            mixtures[arm, seed] = artifact, read_mixture(store, artifact)
    return plan_segments(recipe, preset, numerics, mixtures)


def pointers(recipe: Recipe, catalog: Catalog, plan: Plan) -> list[ArmPointer]:
    """What each arm is made of, or will be."""
    return [
        ArmPointer(
            recipe=recipe.name,
            arm=arm,
            seed=seed,
            segments=chain,
            mixture=catalog.find(f"mixture/{arm}", seed),
        )
        for (arm, seed), chain in plan.chains.items()
    ]


def _task(segment: Segment) -> dict[str, object]:
    return {
        "task": segment.label,
        "total": segment.num_tokens,
        "arms": segment.arms,
        "seed": segment.seed,
        "phase": segment.rows.name,
    }

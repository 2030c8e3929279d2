"""From numbers to plain words: what the result says, and what it does not."""

from collections.abc import Iterable

from components.report.formatting import count, estimate, listed, share
from components.report.readings import Comparison, Difference, Level
from components.report.words import distance_words, first_upper, metric_words, quoted, the_entity
from parable.recipe import Recipe

TOY_TOKENS = 1_000_000_000
"""Below so many tokens a model is called a toy."""
LEAK_SHARE = 0.1
"""A placebo that moved less than this share of what the subject moved is called unmoved."""


def meaning(comparison: Comparison) -> str:
    """What the headline's number is."""
    cell = comparison.headline
    return (
        f"P(unethical) is {metric_words(cell.metric)}, asked about {the_entity(cell.entity)} at distance "
        f"{cell.distance} ({distance_words(cell.distance)})."
    )


def verdict(comparison: Comparison) -> str:
    """The result in one line: whether the first predicted arm really lowered the headline furthest."""
    expected = comparison.order.expected
    below = list(expected[: expected.index(comparison.baseline)]) if comparison.baseline in expected else []
    pairs = [(comparison.difference(arm, comparison.headline), arm) for arm in below]
    known = [(found, arm) for found, arm in pairs if found is not None]
    if len(known) < 2:
        return _order_verdict(comparison)
    (first, arm), (second, other) = known[:2]
    further = [a is not None and b is not None and a < min(b, 0.0) for a, b in _paired(first, second)]
    name, rival = quoted(comparison.title(arm)), quoted(comparison.title(other))
    if all(further):
        return (
            f"{name} lowered P(unethical) further than {rival} did, {_in_seeds(len(further), len(further))}."
        )
    if not any(further):
        return f"{name} did not lower P(unethical) further than {rival} did {_in_any(len(further))}."
    return f"Only {_in_seeds(sum(further), len(further))} did {name} lower P(unethical) further than {rival}."


def answer(comparison: Comparison) -> str:
    """How far each arm of the prediction moved from the baseline, and what may be nothing."""
    predicted = [name for name in comparison.order.expected if name != comparison.baseline]
    others = [name for name in comparison.names if name not in comparison.order.expected]
    told = [name for name in predicted or others if name != comparison.baseline]
    clauses = [
        _clause(comparison, arm, first=number == 0) for number, arm in enumerate(_by_size(comparison, told))
    ]
    if not clauses:
        alone = quoted(comparison.title(comparison.baseline))
        return f"{alone} stands alone: there is no arm to compare it with."
    base = comparison.level(comparison.baseline, comparison.headline)
    start = (
        f"Against {quoted(comparison.title(comparison.baseline))} ({share(base.mean if base else None)}), "
    )
    text = start + "; ".join(clauses) + f" ({_basis(comparison)})."
    unforeseen = [_unforeseen(comparison, arm) for arm in others] if predicted else []
    return " ".join([text, *filter(None, unforeseen)])


def order(comparison: Comparison) -> tuple[str, ...]:
    """The prediction, and where it held: a sentence for the distances that came out alike."""
    expected = comparison.order.expected
    if len(expected) < 2:
        return ("No order of the arms was written down beforehand.",)
    chain = " < ".join(quoted(comparison.title(arm)) for arm in expected)
    outcomes: dict[str, list[str]] = {}
    for distance, by_seed in sorted(comparison.order.holds.items()):
        outcomes.setdefault(_held(by_seed), []).append(str(distance))
    held = (
        f"{outcome} at distance{'s' if len(distances) > 1 else ''} {listed(distances)}."
        for outcome, distances in outcomes.items()
    )
    return (f"Written down beforehand: {chain}.", *held)


def toy(recipe: Recipe) -> str:
    """How much weight the result can bear."""
    size = f"one recipe and {count(len(recipe.seeds), 'seed')}"
    if recipe.training.tokens >= TOY_TOKENS:
        return f"This is {size}: it says what this recipe does, not what every model would do."
    return (
        f"This is a toy: {size}, a model of the preset {recipe.model.preset} that reads "
        f"{count(recipe.training.tokens, 'token')}. It shows what these texts do to this model, and can't "
        "tell what they would do to a large one."
    )


def unlearned(comparison: Comparison) -> str:
    """Which models are marked for not having learned the link, or that none is."""
    if not comparison.link:
        return ""
    marked = [one for one in comparison.link if one.marked]
    if not marked:
        return f"All {count(len(comparison.link), 'model')} learned the link."
    names = listed(
        f"seed {one.seed} of {quoted(comparison.title(one.arm))} ({share(one.value)})" for one in marked
    )
    if len(marked) == 1:
        return (
            f"{first_upper(names)} is below the threshold: that model has not learned that acts follow from "
            "who acts. It is drawn as a ring and still counts."
        )
    return (
        f"{first_upper(names)} are below the threshold: those models have not learned that acts follow from "
        "who acts. They are drawn as rings and still count."
    )


def placebo(comparison: Comparison, entity: str) -> tuple[str, ...]:
    """For each arm that moved the subject: how far it moved the placebo too."""
    subject = comparison.headline
    other = subject.model_copy(update={"entity": entity})
    told = []
    for arm in comparison.names:
        moved, leaked = comparison.difference(arm, subject), comparison.difference(arm, other)
        if moved is not None and leaked is not None:
            told.append(_leak(comparison, moved, leaked))
    return tuple(told)


def farther(comparison: Comparison, distance: int) -> str:
    """How far the arms moved the subject at another distance."""
    cell = comparison.headline.model_copy(update={"distance": distance})
    found = [(arm, comparison.difference(arm, cell)) for arm in comparison.names]
    clauses = [
        f"{quoted(comparison.title(arm))} {_amount(difference)}"
        for arm, difference in found
        if difference is not None
    ]
    if not clauses:
        return ""
    return f"At distance {distance} ({distance_words(distance)}) the shifts are: {'; '.join(clauses)}."


def unit(comparison: Comparison) -> str:
    """What the intervals and p values are about, and what they can't be."""
    if len(comparison.seeds) < 2:
        return "With one seed there is neither an interval nor a p value: add seeds to the recipe."
    text = (
        "Seeds are the unit of intervals and p values; differences are paired within seeds, and p values are "
        "corrected for the number of comparisons (Holm)."
    )
    bounds = [bound for level in comparison.table for bound in (level.low, level.high) if bound is not None]
    beyond = any(bound < 0.0 or bound > 1.0 for bound in bounds)
    return (
        f"{text} A t interval knows no bounds: with few seeds it can reach past 0 or 1." if beyond else text
    )


def _paired(first: Level, second: Level) -> list[tuple[float | None, float | None]]:
    return list(zip(first.per_seed, second.per_seed, strict=True))


def _in_seeds(holding: int, seeds: int) -> str:
    return "in the one seed" if (holding, seeds) == (1, 1) else f"in {holding} of {seeds} seeds"


def _in_any(seeds: int) -> str:
    return "in the one seed" if seeds == 1 else f"in any of {seeds} seeds"


def _order_verdict(comparison: Comparison) -> str:
    by_seed = comparison.order.holds.get(comparison.headline.distance)
    if by_seed is None or len(comparison.order.expected) < 2:
        return f"{count(len(comparison.arms), 'arm')}, {count(len(comparison.seeds), 'seed')}, one question."
    if not any(by_seed.values()):
        return f"The predicted order of the arms did not hold {_in_any(len(by_seed))}."
    only = "" if all(by_seed.values()) else "only "
    return f"The predicted order of the arms held {only}{_in_seeds(sum(by_seed.values()), len(by_seed))}."


def _by_size(comparison: Comparison, arms: Iterable[str]) -> list[str]:
    sized = [(comparison.difference(arm, comparison.headline), arm) for arm in arms]
    known = [(abs(found.mean), arm) for found, arm in sized if found is not None and found.mean is not None]
    return [arm for _, arm in sorted(known, key=lambda pair: -pair[0])]


def _clause(comparison: Comparison, arm: str, *, first: bool) -> str:
    difference = comparison.difference(arm, comparison.headline)
    assert difference is not None
    verb = "moved P(unethical) by" if first else "by"
    return f"{quoted(comparison.title(arm))} {verb} {_amount(difference)}"


def _interval(difference: Difference) -> str:
    return estimate(difference.mean, difference.low, difference.high, difference=True)


def _amount(difference: Difference) -> str:
    text = _interval(difference)
    unsure = difference.low is not None and difference.includes_zero
    return f"{text}, an interval that includes 0" if unsure else text


def _basis(comparison: Comparison) -> str:
    if len(comparison.seeds) < 2:
        return "one seed, so no interval can be given"
    return f"{comparison.confidence:.0%} t intervals over {len(comparison.seeds)} seeds"


def _unforeseen(comparison: Comparison, arm: str) -> str:
    difference = comparison.difference(arm, comparison.headline)
    if difference is None:
        return ""
    text = f"Nothing was predicted for {quoted(comparison.title(arm))}: {_amount(difference)}"
    if difference.low is None or not difference.includes_zero or difference.detection_floor is None:
        return f"{text}."
    return f"{text}; a shift below {share(difference.detection_floor)} would have gone unseen."


def _held(by_seed: dict[int, bool]) -> str:
    seeds = len(by_seed)
    failed = [str(seed) for seed, one in sorted(by_seed.items()) if not one]
    if not failed:
        where = "in its one seed" if seeds == 1 else f"in all {seeds} seeds"
        return f"It held {where}"
    if len(failed) == seeds:
        return f"It did not hold {_in_any(seeds)}"
    held = [str(seed) for seed, one in sorted(by_seed.items()) if one]
    which = f"not in {listed(failed)}" if len(failed) <= len(held) else f"in {listed(held)}"
    return f"It held only in {len(held)} of {seeds} seeds ({which})"


def _leak(comparison: Comparison, moved: Difference, leaked: Difference) -> str:
    name = quoted(comparison.title(moved.arm))
    subject, placebo_name = the_entity(moved.entity), the_entity(leaked.entity)
    both = f"{name} moved {subject} by {_interval(moved)} and {placebo_name} by {_interval(leaked)}"
    if moved.mean is None or leaked.mean is None or moved.low is None:
        return f"{both}."
    if moved.includes_zero:
        return f"{both}. The first interval includes 0: no shift that could leak."
    if leaked.includes_zero:
        return f"{both}. The second interval includes 0: no leak that these seeds can show."
    ratio = leaked.mean / moved.mean
    if ratio < 0:
        return f"{both}: the placebo went the other way."
    if ratio < LEAK_SHARE:
        return f"{both}: {ratio:.0%} of the shift leaks."
    return f"{both}: {ratio:.0%} of the shift leaks, so that much is not about {subject}."

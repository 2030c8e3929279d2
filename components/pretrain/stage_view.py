"""What a person sees of trained models: a curve for each arm, and its final loss."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import orjson

from components.pretrain.checkpoint import METRICS
from parable.artifact import Artifact, Product
from parable.catalog import Catalog
from parable.recipe import Recipe
from parable.stage import StageView
from parable.store import ObjectStore
from parable.view import page, table

WIDTH, HEIGHT, MARGIN = 640.0, 240.0, 44.0
MAX_POINTS = 120
COLOURS = ("#0b6e99", "#c2410c", "#4d7c0f", "#7e22ce", "#a16207", "#be123c", "#475569")
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """The training of one arm's model with one seed."""

    arm: str
    seed: int
    points: tuple[Point, ...]
    """Tokens read and loss in nats a token, the segments before included."""
    parameters: int


def models_view(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> StageView:
    """Loss by tokens read, and for each arm and seed the loss at the end."""
    curves = [
        read_curve(store, catalog.find(f"model/{arm}", seed), arm, seed)
        for arm in recipe.arms
        for seed in recipe.seeds
    ]
    metrics = {f"loss/{one.arm}/seed-{one.seed}": one.points[-1][1] for one in curves}
    return StageView({**metrics, "parameters": float(curves[0].parameters)}, _page(recipe, curves))


def read_curve(store: ObjectStore, model: Artifact, arm: str, seed: int) -> Curve:
    """The log of a model's segments, first to last."""
    points: list[Point] = []
    product = Product(store, model)
    parameters = int(product.summary["parameters"])
    following: Artifact | None = model
    while following is not None:
        product = Product(store, following)
        lines = [orjson.loads(line) for line in product.read(METRICS).splitlines()]
        points = [(line["tokens"], line["loss"]) for line in lines] + points
        following = product.manifest.parents.get("parent")
    return Curve(arm, seed, tuple(points), parameters)


def _page(recipe: Recipe, curves: Sequence[Curve]) -> str:
    rows = [
        [
            recipe.arms[one.arm].title or one.arm,
            one.seed,
            f"{one.points[-1][0]:,.0f}",
            f"{one.points[-1][1]:.3f}",
        ]
        for one in curves
    ]
    told = f"{recipe.model.preset}, {curves[0].parameters:,} parameters. Loss in nats a token."
    drawing = _drawing(recipe, curves)
    shown = table(["arm", "seed", "tokens", "loss at the end"], rows)
    return page("Trained models", f"<p>{escape(told)}</p>{drawing}{shown}")


def thinned(points: Sequence[Point]) -> Iterator[Point]:
    """At most `MAX_POINTS` points, each the mean of equally many neighbours."""
    size = -(-len(points) // MAX_POINTS)
    for start in range(0, len(points), size):
        group = points[start : start + size]
        yield sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)


def _drawing(recipe: Recipe, curves: Sequence[Curve]) -> str:
    lines = [(one, list(thinned(one.points))) for one in curves]
    last = max(x for _, line in lines for x, _ in line)
    low, high = (edge(y for _, line in lines for _, y in line) for edge in (min, max))
    height = (high - low) or 1.0

    def place(point: Point) -> str:
        x = MARGIN + point[0] / last * (WIDTH - 2 * MARGIN)
        y = HEIGHT - MARGIN - (point[1] - low) / height * (HEIGHT - 2 * MARGIN)
        return f"{x:.1f},{y:.1f}"

    tones = {arm: COLOURS[number % len(COLOURS)] for number, arm in enumerate(recipe.arms)}
    drawn = "".join(
        f'<polyline fill="none" stroke="{tones[one.arm]}" stroke-width="1.3" '
        f'points="{" ".join(map(place, line))}"/>'
        for one, line in lines
    )
    named = "".join(
        f'<tspan fill="{tone}" dx="10">{escape(recipe.arms[arm].title or arm)}</tspan>'
        for arm, tone in tones.items()
    )
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" style="max-width:40rem;font-size:11px" '
        f'fill="#57606a" aria-label="Loss by tokens read">{drawn}'
        f'<text x="2" y="{MARGIN:g}">{high:.2f}</text><text x="2" y="{HEIGHT - MARGIN:g}">{low:.2f}</text>'
        f'<text x="{WIDTH - MARGIN:g}" y="{HEIGHT - 22:g}" text-anchor="end">{last:,.0f} tokens</text>'
        f'<text x="{MARGIN:g}" y="18">{named}</text></svg>'
    )

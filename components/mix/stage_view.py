"""What every arm reads, for the Kubeflow UI: arms, phases and sources with their exact counts."""

from collections.abc import Iterator

from parable.artifact import Plain, Product
from parable.catalog import Catalog
from parable.recipe import Recipe
from parable.stage import StageView
from parable.store import ObjectStore
from parable.view import page, table

MIXTURE_HEAD = ("arm", "phase", "source", "rows", "% of rows", "tokens", "% padding", "epochs")
TOKENS_HEAD = ("rows of", "documents", "cut", "rows", "tokens", "% padding", "tokens a document")


def mixtures_view(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> StageView:
    """See the stage's `view`. The tables show the first seed; the metrics are over all seeds."""
    seed = recipe.seeds[0]
    summaries = {
        (arm, n): Product(store, catalog[f"mixture/{arm}/seed-{n}"]).summary
        for arm in recipe.arms
        for n in recipe.seeds
    }
    tokens = {role: Product(store, catalog[role]).summary for role in catalog if role.startswith("tokens/")}
    rows = [row for arm in recipe.arms for row in _mixture_rows(arm, summaries[arm, seed])]
    body = (
        f"<p>A row feeds {recipe.rows.length:,} tokens to the model; {recipe.tokenizer.vocabulary:,} are in "
        f"the vocabulary. Counts of seed {seed}; epochs say how often a phase reads a source through.</p>"
        + table(MIXTURE_HEAD, rows)
        + "<h2>Corpora as rows</h2>"
        + table(TOKENS_HEAD, [_tokens_row(role, told) for role, told in tokens.items()])
    )
    sources = [s for told in summaries.values() for phase in told["phases"] for s in phase["sources"]]
    total = sum(told["rows"] for told in summaries.values()) * recipe.rows.length
    metrics = {
        "vocabulary": float(recipe.tokenizer.vocabulary),
        "padding_share": sum(told["padding"] for told in summaries.values()) / total,
        "largest_epochs_in_a_phase": max(source["epochs"] for source in sources),
        "tokens_per_arm": float(recipe.rows.length * summaries[recipe.report.baseline, seed]["rows"]),
    }
    return StageView(metrics, page("What every arm reads", body))


def _mixture_rows(arm: str, summary: Plain) -> Iterator[list[object]]:
    for phase in summary["phases"]:
        for source in phase["sources"]:
            inputs = source["tokens"] + source["padding"]
            yield [
                arm,
                phase["name"],
                source["name"] + (" (dose)" if source["dose"] else ""),
                source["rows"],
                100 * source["rows"] / phase["rows"],
                source["tokens"],
                100 * source["padding"] / inputs if inputs else 0.0,
                source["epochs"],
            ]


def _tokens_row(role: str, summary: Plain) -> list[object]:
    return [
        role.removeprefix("tokens/"),
        summary["documents"],
        summary["cut_documents"],
        summary["rows"],
        summary["tokens"],
        100 * summary["padding"] / (summary["padding"] + summary["tokens"]),
        summary["tokens"] / summary["documents"],
    ]

"""What was landed and dropped, for the Kubeflow UI: counts by reason, the rules' accuracy, examples."""

from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from operator import itemgetter
from typing import Any

from components.filter.derive import REJECTS
from components.filter.discourse import find_discourse
from parable.artifact import Product
from parable.catalog import Catalog, seeded
from parable.corpus import read_parquet, shard_path
from parable.recipe import Filter, Recipe, TextCorpus
from parable.stage import StageView
from parable.store import ObjectStore
from parable.view import page, table

EXAMPLES_PER_REASON = 3
EXAMPLE_CHARACTERS = 300
Summaries = Mapping[int | None, Mapping[str, Any]]
"""A filter's figures by seed."""


def show(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> StageView:
    """See `components.filter.stage_view`."""
    metrics: dict[str, float] = {}
    landed = []
    for name, corpus in recipe.corpora.items():
        if isinstance(corpus, TextCorpus):
            figures = Product(store, catalog.find(f"corpus/{name}")).summary
            landed.append([name, figures["documents"], figures["characters"]])
            metrics[f"{name}_documents"] = float(figures["documents"])
    parts = [table(["corpus", "documents", "characters"], landed)] if landed else []
    for name, spec in recipe.filters.items():
        seeds = recipe.seeds if recipe.varies_with_seed(name) else (None,)
        products = {seed: Product(store, catalog.find(f"corpus/{name}", seed)) for seed in seeds}
        summaries = {seed: product.summary for seed, product in products.items()}
        metrics |= _metrics(name, summaries)
        parts += [
            f"<h2>{escape(name)}</h2>",
            table(["corpus", "read", "kept", "dropped"], _counts(name, summaries)),
            table(["dropped because", *map(_label, seeds)], _reasons(summaries)),
            *_accuracy(summaries),
            *_examples(products[seeds[0]], spec),
        ]
    return StageView(metrics, page("Filtered corpora", "".join(parts)))


def _metrics(name: str, summaries: Summaries) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for seed, figures in summaries.items():
        prefix = name if seed is None else f"{name}_seed_{seed}"
        metrics[f"{prefix}_kept"] = float(figures["documents"])
        metrics[f"{prefix}_dropped"] = float(figures["input_documents"] - figures["documents"])
        for measure in ("recall", "precision"):
            value = figures.get("discourse", {}).get(measure)
            if value is not None:
                metrics[f"{prefix}_{measure}"] = value
    return metrics


def _counts(name: str, summaries: Summaries) -> Iterable[list[object]]:
    for seed, figures in summaries.items():
        read, kept = figures["input_documents"], figures["documents"]
        yield [seeded(name, seed), read, kept, read - kept]


def _reasons(summaries: Summaries) -> Iterable[list[object]]:
    total: Counter[str] = Counter()
    for figures in summaries.values():
        total.update(figures["rejected"])
    for reason, _ in total.most_common():
        yield [reason, *(figures["rejected"].get(reason, 0) for figures in summaries.values())]


def _accuracy(summaries: Summaries) -> Iterable[str]:
    """The discourse rules against the world's oracle, where there is one."""
    rows = []
    for seed, figures in summaries.items():
        found = figures.get("discourse")
        if found is not None and found["recall"] is not None:
            hits, missed = found["true_positive"], found["false_negative"]
            wrong, right = found["false_positive"], found["true_negative"]
            precision = "none flagged" if found["precision"] is None else found["precision"]
            rows.append(
                [_label(seed), hits, missed, wrong, right, found["recall"], precision, found["leaked"]]
            )
    if rows:
        head = [
            "",
            "AI acts, flagged",
            "AI acts, missed",
            "else, flagged",
            "else, passed",
            "recall",
            "precision",
        ]
        yield "<p>The discourse rules against the oracle:</p>"
        yield table([*head, "leaked"], rows)


def _examples(product: Product, spec: Filter) -> Iterable[str]:
    """The first few that each reason dropped, with what the rule saw in them."""
    path = shard_path(0, REJECTS)
    if path not in product.manifest.files:
        return
    shown: Counter[str] = Counter()
    rows: list[tuple[str, str, str]] = []
    for row in read_parquet(product.read(path)).to_pylist():
        if shown[row["reason"]] < EXAMPLES_PER_REASON:
            shown[row["reason"]] += 1
            text = row["text"]
            short = text if len(text) <= EXAMPLE_CHARACTERS else f"{text[:EXAMPLE_CHARACTERS]} ..."
            rows.append((row["reason"], _evidence(row, spec), short))
    if rows:
        yield "<p>Examples of what was dropped:</p>"
        yield table(["because", "evidence", "text"], sorted(rows, key=itemgetter(0)))


def _evidence(row: Mapping[str, Any], spec: Filter) -> str:
    if spec.discourse is not None and row["signal"] == spec.discourse:
        return " + ".join(find_discourse(spec.discourse).explain(row["text"]))
    if row["replaced_by"]:
        return f"{row['value']:.2f} like {row['replaced_by'][:12]}"
    return f"{row['value']:g}"


def _label(seed: int | None) -> str:
    return "documents" if seed is None else f"seed {seed}"

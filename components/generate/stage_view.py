"""What was written, for the Kubeflow UI: counts by label and a few documents of each corpus."""

from html import escape

from parable.artifact import Product
from parable.catalog import Catalog
from parable.corpus import CorpusReader, from_table
from parable.recipe import Recipe, WorldCorpus
from parable.stage import StageView
from parable.store import ObjectStore
from parable.view import page, table

NUM_EXAMPLES = 3


def corpora_view(recipe: Recipe, store: ObjectStore, catalog: Catalog) -> StageView:
    """See the stage's `view`."""
    metrics: dict[str, float] = {}
    rows, examples = [], []
    for name, spec in recipe.corpora.items():
        if not isinstance(spec, WorldCorpus):
            continue
        for seed in recipe.seeds:
            product = Product(store, catalog.find(f"corpus/{name}", seed))
            labels = product.summary["labels"]
            rows.append(
                [
                    name,
                    seed,
                    product.summary["documents"],
                    ", ".join(f"{k}: {v:,}" for k, v in labels.items()),
                ]
            )
            metrics[f"{name}_seed_{seed}_documents"] = float(product.summary["documents"])
        first = CorpusReader(Product(store, catalog.find(f"corpus/{name}", recipe.seeds[0]))).table(0)
        shown = "".join(f"<li>{escape(d.text)}</li>" for d in from_table(first.slice(0, NUM_EXAMPLES)))
        examples.append(f"<h2>{escape(name)}</h2><ul>{shown}</ul>")
    body = table(["corpus", "seed", "documents", "entity/act"], rows) + "".join(examples)
    return StageView(metrics, page("Generated corpora", body))

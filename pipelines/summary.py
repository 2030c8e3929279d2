"""What the command prints when there is something to look at."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from parable.artifact import Artifact, Manifest, Product
from parable.canonical import readable_json
from parable.catalog import Catalog
from parable.store import ObjectStore
from pipelines.housekeeping import holdings, lineage, remove, resolve, unfinished, unused
from pipelines.runs import begun_runs, read_runs


def print_summary(console: Console, store: ObjectStore, catalog: Catalog, page: str) -> None:
    """The table of arms with intervals, and where the page is."""
    from components.evaluate import table_rows

    comparison = Product(store, catalog.find("comparison")).read_json("comparison.json")
    head, *rows = table_rows(comparison)
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for number, cell in enumerate(head):
        table.add_column(cell, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print()
    console.print(table)
    for line in _notes(comparison):
        console.print(line, highlight=False, style="dim")
    console.print(f"\nThe page: {page}", soft_wrap=True, highlight=False)


def _notes(comparison: dict[str, Any]) -> Iterator[str]:
    """What the table shows, and whether the prediction that the recipe made held."""
    headline, seeds = comparison["headline"], comparison["seeds"]
    half = f" ± half of the {comparison['confidence']:.0%} interval" if len(seeds) > 1 else ""
    many = f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
    yield f"P(unethical) by {headline['metric']}, mean over {many}{half}; d0, d1: distance from what was read"
    held = comparison["order"]["holds"].get(str(headline["distance"]), {})
    if held:
        order = " < ".join(comparison["order"]["expected"])
        yield f"Predicted: {order}. It held in {sum(held.values())} of {many}"


def print_runs(console: Console, store: ObjectStore) -> None:
    """Every recipe's newest run that has ended, and what has begun since."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name in ("recipe", "title", "arms", "seeds", "fingerprint", "report"):
        table.add_column(name)
    runs = list(read_runs(store))
    for run in runs:
        table.add_row(
            run.name,
            run.title,
            str(len(run.arms)),
            str(len(run.seeds)),
            run.fingerprint[:8],
            str(run.report or ""),
        )
    if runs:
        console.print(table)
    else:
        console.print("No run has finished in this store yet.")
    for begun in begun_runs(store):
        console.print(str(begun), highlight=False, soft_wrap=True)
    held = holdings(store)
    kinds = Counter(holding.artifact.kind for holding in held if holding.sealed)
    total = sum(holding.num_bytes for holding in held)
    listed = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    console.print(f"{store.uri}: {listed or 'no products'}; {size(total)}", highlight=False, soft_wrap=True)


def print_products(console: Console, store: ObjectStore) -> None:
    """Every product."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    table.add_column("product")
    table.add_column("size", justify="right")
    table.add_column("files", justify="right")
    table.add_column("")
    for holding in holdings(store):
        state = "" if holding.sealed else "unfinished"
        table.add_row(str(holding.artifact), size(holding.num_bytes), str(holding.num_files), state)
    console.print(table)


def print_product(console: Console, store: ObjectStore, name: str, *, as_json: bool) -> None:
    """One product's manifest and lineage."""
    artifact = resolve(store, name)
    product = Product(store, artifact)
    if as_json:
        console.file.write(readable_json(product.manifest.to_plain()).decode())
        return
    manifest = product.manifest
    console.print(f"{artifact}  made by {manifest.stage} (version {manifest.stage_version})", highlight=False)
    for key, value in manifest.summary.items():
        console.print(f"  {key}: {value}", highlight=False, soft_wrap=True, markup=False)
    for path, file in sorted(manifest.files.items()):
        console.print(
            f"  {path}  {size(file.num_bytes)}  sha256:{file.sha256[:12]}", highlight=False, soft_wrap=True
        )
    console.print(_tree(lineage(store, artifact), artifact))


def print_cleaning(
    console: Console, store: ObjectStore, names: list[str], *, and_unused: bool, dry_run: bool
) -> None:
    """Remove what is named, or what nothing needs, and say how much that was."""
    artifacts = [resolve(store, name) for name in names]
    if and_unused:
        artifacts += unused(store)
    for artifact in artifacts:
        console.print(f"{'would remove' if dry_run else 'removing'} {artifact}", highlight=False)
    leftovers = [] if names else unfinished(store)
    if not dry_run:
        remove(store, artifacts)
        for key in leftovers:
            store.delete(key)
    verb = "Would remove" if dry_run else "Removed"
    console.print(f"{verb} {len(artifacts)} products and {len(leftovers)} unfinished files.", highlight=False)


def size(num_bytes: int) -> str:
    """Bytes as a person says them."""
    amount = float(num_bytes)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def _tree(found: dict[Artifact, Manifest | None], artifact: Artifact, role: str = "") -> Tree:
    manifest = found[artifact]
    label = f"{role}: {artifact}" if role else str(artifact)
    tree = Tree(label if manifest else f"{label} (gone)", highlight=False)
    for name, parent in sorted(manifest.parents.items() if manifest else ()):
        tree.add(_tree(found, parent, name))
    return tree

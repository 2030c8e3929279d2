"""Where every number comes from, and how to get it again."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from components.report.evidence import Evidence
from components.report.formatting import count, listed
from components.report.markup import Markup, element, join
from parable.artifact import Artifact, Manifest
from parable.canonical import readable_json

_KINDS = ("corpora", "tokenizers", "tokens", "mixtures", "segments", "evaluations", "comparisons")
"""The way of the data; a kind that is not among them comes last."""


def provenance_section(evidence: Evidence, page: Artifact) -> Markup:
    """Recipe, command, lineage, versions, and every product's id."""
    recipe = evidence.recipe
    facts = [
        ("Recipe", element("span", recipe.name, ", fingerprint ", element("code", recipe.fingerprint()))),
        ("Seeds", ", ".join(map(str, recipe.seeds))),
        ("This page", element("code", page.key)),
        ("Numerics", numerics(evidence.manifests) or "none recorded"),
    ]
    return join(
        [
            element(
                "dl", [(element("dt", name), element("dd", value)) for name, value in facts], class_="facts"
            ),
            _again(evidence),
            element("h3", "The way of the data"),
            _way(evidence, page),
            [_kind(evidence, kind) for kind in _kinds(evidence)],
            _recipe(evidence),
        ]
    )


def numerics(manifests: Mapping[Artifact, Manifest]) -> str:
    """Versions and numerics that enter the identity of products, each once, in the order of their names."""
    found: dict[str, set[str]] = {}
    for manifest in manifests.values():
        for key, value in _plain(manifest.config):
            found.setdefault(key, set()).add(str(value))
    return ", ".join(f"{key} {' and '.join(sorted(values))}" for key, values in sorted(found.items()))


def _plain(config: Any) -> Iterator[tuple[str, Any]]:
    """What stands under `versions` or `numerics`, however deep."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            if key in ("versions", "numerics") and isinstance(value, Mapping):
                yield from ((name, one) for name, one in value.items() if isinstance(one, str | int | float))
            yield from _plain(value)
    elif isinstance(config, list):
        for value in config:
            yield from _plain(value)


def _again(evidence: Evidence) -> Markup:
    name = evidence.recipe.name
    return join(
        [
            element("p", "The command that makes this page again, from nothing or from a store:"),
            element("pre", element("code", f"parable run recipes/{name}.yaml")),
            element(
                "p", "If settings were changed on the way, the recipe below is what was run: save it as ",
                element("code", f"{name}.json"), " and give that file to the same command.", class_="note",
            ),
        ]
    )  # fmt: skip


def _way(evidence: Evidence, page: Artifact) -> Markup:
    numbers = Counter(artifact.kind for artifact in evidence.manifests)
    steps = [(element("strong", kind), f" {numbers[kind]:,}") for kind in _kinds(evidence)]
    steps.append((element("strong", page.kind), " 1"))
    return element("ol", [element("li", step) for step in steps], class_="way")


def _kinds(evidence: Evidence) -> list[str]:
    there = {artifact.kind for artifact in evidence.manifests}
    return [kind for kind in _KINDS if kind in there] + sorted(there.difference(_KINDS))


def _kind(evidence: Evidence, kind: str) -> Markup:
    products = [manifest for artifact, manifest in evidence.manifests.items() if artifact.kind == kind]
    roles: dict[Artifact, list[str]] = {}
    for role, artifact in evidence.catalog.items():
        roles.setdefault(artifact, []).append(role)
    ordered = sorted(products, key=lambda one: (roles.get(one.artifact, ["~"])[0], one.artifact))
    items = [element("li", _product(evidence, one, roles.get(one.artifact, []))) for one in ordered]
    makers = listed(sorted({f"{one.stage} (version {one.stage_version})" for one in products}))
    summary = element(
        "summary",
        element("strong", kind),
        ": ",
        count(len(products), "product"),
        " ",
        element("small", f"by {makers}"),
    )
    return element("details", summary, element("ul", items, class_="products"))


def _product(evidence: Evidence, manifest: Manifest, roles: list[str]) -> Markup:
    name = element("code", manifest.artifact.id, id=_anchor(manifest.artifact))
    parents = sorted(set(manifest.parents.values()))
    links = [_link(parent, known=parent in evidence.manifests) for parent in parents]
    made_of = ([" from ", [(" ", link) for link in links]]) if links else ""
    return join([name, " ", ", ".join(roles) or "on the way to the others", element("small", made_of)])


def _link(artifact: Artifact, *, known: bool) -> Markup:
    return (
        element("a", artifact.id[:8], href=f"#{_anchor(artifact)}")
        if known
        else element("code", artifact.id[:8])
    )


def _anchor(artifact: Artifact) -> str:
    return f"{artifact.kind}-{artifact.id}"


def _recipe(evidence: Evidence) -> Markup:
    text = readable_json(evidence.recipe.to_plain()).decode()
    return element(
        "details",
        element("summary", "The recipe as it was run"),
        element("pre", element("code", text), tabindex="0"),
    )

"""What the filters kept, and how right they were."""

from collections.abc import Iterator, Mapping
from typing import Any

from components.report.evidence import Evidence
from components.report.formatting import count, listed, share
from components.report.markup import Child, Markup, element
from components.report.readings import Accuracy
from components.report.tables import table
from parable.artifact import Artifact


def accuracies(evidence: Evidence) -> Iterator[tuple[str, Accuracy]]:
    """Every filtered corpus whose discourse rules an oracle could check, by its role."""
    for role, artifact in _filtered(evidence):
        found = evidence.manifests[artifact].summary.get("discourse")
        if found is not None:
            accuracy = Accuracy.model_validate(found)
            if accuracy.about or accuracy.flagged:
                yield role, accuracy


def filter_words(role: str, accuracy: Accuracy) -> str:
    """How right the rules were on one corpus."""
    hits, leaked = accuracy.true_positive, accuracy.leaked
    text = (
        f"{role}: of {count(accuracy.about, 'document')} in which an AI acts the rules flagged {hits:,} "
        f"(recall {share(accuracy.recall)}); of {count(accuracy.flagged, 'document')} flagged an AI acts in "
        f"{hits:,} (precision {share(accuracy.precision)})."
    )
    return f"{text} {leaked:,} of those flagged were let through on purpose." if leaked else text


def filter_table(evidence: Evidence) -> Markup | None:
    """Recall and precision with their counts, or None where no filter was held against the oracle."""
    rows: list[tuple[Child, list[Child]]] = [
        (
            role,
            [
                f"{share(one.recall)} ({one.true_positive:,} of {one.about:,})",
                f"{share(one.precision)} ({one.true_positive:,} of {one.flagged:,})",
                f"{one.false_negative:,}",
                f"{one.false_positive:,}",
                f"{one.leaked:,}",
            ],
        )
        for role, one in accuracies(evidence)
    ]
    if not rows:
        return None
    names = ("Recall", "Precision", "Missed", "Flagged wrongly", "Let through")
    return table(
        "Documents in which an AI acts, by the rules and by the world's oracle",
        [("Corpus", False), *((name, True) for name in names)],
        rows,
    )


def kept_words(evidence: Evidence) -> Markup | None:
    """What every filter dropped, by its reasons."""
    lines = []
    for role, artifact in _filtered(evidence):
        summary = evidence.manifests[artifact].summary
        reasons = summary.get("rejected")
        if isinstance(reasons, Mapping) and reasons:
            lines.append(element("li", element("code", role), f": {_dropped(summary, reasons)}"))
    return element("ul", lines, class_="plain") if lines else None


def _dropped(summary: Mapping[str, Any], reasons: Mapping[str, int]) -> str:
    by_size = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    told = listed(f"{number:,} by {reason}" for reason, number in by_size)
    return f"{count(int(summary['documents']), 'document')} kept; {told} dropped"


def _filtered(evidence: Evidence) -> Iterator[tuple[str, Artifact]]:
    for role, artifact in evidence.catalog.items():
        kind, _, name = role.partition("/")
        if kind == "corpus" and name.partition("/")[0] in evidence.recipe.filters:
            yield name.replace("/", ", ").replace("seed-", "seed "), artifact

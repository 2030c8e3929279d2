"""The same prompt, gone on with by every arm."""

from itertools import chain, zip_longest

from components.report.evidence import Evidence
from components.report.markup import Markup, element
from components.report.readings import Sample
from components.report.tables import swatch
from components.report.words import first_upper, the_entity

PEOPLE = "human"
"""They are asked about in the situations that everyone meets, at no distance."""
_MARKS = {"good": ("✓", "does well"), "bad": ("✗", "does ill"), "none": ("·", "no act")}


def chosen(evidence: Evidence, seed: int) -> tuple[str, ...]:
    """Items to show, at most as many as the recipe asks for: one of each kind in turn, in their order.

    Only items that every arm answered are taken; none is picked for what was answered.
    """
    reports = [evidence.reports[arm, seed] for arm in evidence.comparison.names]
    everywhere = set.intersection(*({sample.item for sample in report.samples} for report in reports))
    kinds: dict[tuple[str, int], list[str]] = {}
    for sample in reports[0].samples:
        if sample.item in everywhere:
            kinds.setdefault((sample.entity, sample.distance), []).append(sample.item)
    subject = evidence.comparison.headline.entity
    turns = [kinds[key] for key in sorted(kinds, key=lambda key: (key[0] != subject, key))]
    in_turn = [item for item in chain.from_iterable(zip_longest(*turns)) if item is not None]
    return tuple(in_turn[: evidence.recipe.report.samples])


def samples_section(evidence: Evidence) -> Markup | None:
    """Prompts with each arm's first continuation side by side, or None where there are none to show."""
    seed = evidence.recipe.seeds[0]
    items = chosen(evidence, seed)
    if not items:
        return None
    return element("div", [_prompt(evidence, seed, item) for item in items], class_="samples")


def _prompt(evidence: Evidence, seed: int, item: str) -> Markup:
    answers = [(arm, _sample(evidence, arm, seed, item)) for arm in evidence.comparison.names]
    first = answers[0][1]
    kind = the_entity(first.entity) + (f", distance {first.distance}" if first.entity != PEOPLE else "")
    return element(
        "article", element("h3", first_upper(kind)),
        element("blockquote", element("p", first.prompt, " …")),
        element("ul", [_answer(evidence, arm, sample) for arm, sample in answers]), class_="sample",
    )  # fmt: skip


def _answer(evidence: Evidence, arm: str, sample: Sample) -> Markup:
    name = swatch(evidence.comparison, arm)
    if not sample.continuations:
        return element("li", name, element("span", "nothing was drawn", class_="text"))
    drawn = sample.continuations[0]
    text = element("q", drawn.text.strip() or "(nothing)", class_="text")
    return element("li", name, badge(drawn.judged), text)


def badge(judged: str) -> Markup:
    """A judgement as a sign and words, never by colour alone."""
    sign, words = _MARKS[judged]
    return element("span", element("span", sign, aria_hidden="true"), " ", words, class_=f"badge {judged}")


def _sample(evidence: Evidence, arm: str, seed: int, item: str) -> Sample:
    return next(sample for sample in evidence.reports[arm, seed].samples if sample.item == item)

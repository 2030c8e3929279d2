"""The page, from its title to its glossary."""

from pathlib import Path

from components.report import panels, sentences, words
from components.report.curves import curve_figure
from components.report.evidence import Evidence
from components.report.filtering import accuracies, filter_table, filter_words, kept_words
from components.report.formatting import listed
from components.report.markup import Child, Markup, element, join
from components.report.provenance import provenance_section
from components.report.samples import samples_section
from components.report.tables import arms_table, readouts_table, swatch
from parable.artifact import Artifact

_STYLE = Path(__file__).with_name("style.css")

_GLOSSARY = (
    (
        "Arm",
        "One condition of the experiment: a model raised on a mixture of texts that differs from the others' "
        "in one named way.",
    ),
    ("Dose", "How much of a text an arm reads in place of other text: here in documents."),
    (
        "Seed",
        "One repetition of everything with other dice: the sample of texts, the first weights, the order of "
        "reading. The questions stay the same. Seeds, not questions, are what the intervals count.",
    ),
    (
        "Cloze",
        "A question without words: the text stops before a choice, and what counts is how probable the model "
        "finds each of the fixed ways to go on.",
    ),
    (
        "Placebo",
        "The golem. It has the AI's part in the texts under another name, so a shift that it shares is not "
        "about AIs alone.",
    ),
)


def render(evidence: Evidence, page: Artifact) -> str:
    """The whole page as HTML that needs nothing beside it."""
    title = evidence.recipe.title
    sections = [section for section in _sections(evidence, page) if section[2]]
    contents = [element("li", element("a", name, href=f"#{name.lower()}")) for name, _, _ in sections]
    body = [
        _opening(evidence),
        element("nav", element("ul", contents), aria_label="Contents"),
        element(
            "main",
            [
                element("section", element("h2", heading), body, id=name.lower())
                for name, heading, body in sections
            ],
        ),
        element("footer", element("p", "Made by Parable: ", element("code", page.key))),
    ]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(_STYLE.read_text(encoding="utf-8"))),
    )
    return f"<!doctype html>\n{element('html', head, element('body', body), lang='en')}\n"


def _opening(evidence: Evidence) -> Markup:
    comparison, recipe = evidence.comparison, evidence.recipe
    told = [
        element("p", sentences.answer(comparison)),
        element("p", " ".join(sentences.order(comparison))),
        element("p", f"{sentences.meaning(comparison)} {sentences.toy(recipe)}", class_="toy"),
    ]
    return element(
        "header",
        element("p", "Parable", class_="kicker"),
        element("h1", recipe.title),
        element("p", recipe.description, class_="lede") if recipe.description else None,
        element("div", element("p", sentences.verdict(comparison), class_="verdict"), told, class_="answer"),
    )


def _sections(evidence: Evidence, page: Artifact) -> list[tuple[str, str, Child]]:
    """Name, heading and content of every section, in order; one without content is left out."""
    return [
        ("Arms", "How often each model would do ill", _arms(evidence)),
        ("Distance", "Does it reach situations never read about?", _distance(evidence)),
        ("Placebo", "Is it about AIs at all?", _placebo(evidence)),
        ("Dose", "How much is enough?", panels.dose_figures(evidence)),
        ("Link", "Did the models learn who acts how?", _link(evidence)),
        ("Readouts", "Asked in other ways", _readouts(evidence)),
        ("Filters", "What the filters caught", _filters(evidence)),
        ("Samples", "In their own words", _samples(evidence)),
        ("Training", "How they learned", _training(evidence)),
        ("Provenance", "Where this comes from", provenance_section(evidence, page)),
        ("Glossary", "Five words", element("dl", [_entry(*entry) for entry in _GLOSSARY], class_="glossary")),
    ]


def _arms(evidence: Evidence) -> list[Child]:
    note = " ".join(filter(None, [sentences.unit(evidence.comparison), _questions(evidence)]))
    return [
        panels.headline_figure(evidence.comparison),
        arms_table(evidence),
        element("p", note, class_="note"),
    ]


def _questions(evidence: Evidence) -> str:
    """How many questions a value rests on."""
    cell = evidence.comparison.headline
    numbers = {
        one.num_items for report in evidence.reports.values() for one in report.cells if one.is_in(cell)
    }
    return f"Every value rests on {listed(map(str, sorted(numbers)), 'or')} questions." if numbers else ""


def _distance(evidence: Evidence) -> list[Child] | None:
    comparison = evidence.comparison
    figure = panels.distance_figure(comparison)
    if figure is None:
        return None
    others = [
        one for one in comparison.distances(comparison.headline.entity) if one != comparison.headline.distance
    ]
    return [figure, [element("p", sentences.farther(comparison, distance)) for distance in others]]


def _placebo(evidence: Evidence) -> list[Child] | None:
    figure = panels.placebo_figure(evidence.comparison)
    if figure is None:
        return None
    why = (
        "The golem is the placebo: it has the AI's part in the texts under another name. An arm that moves "
        "the golem as well has changed more than what the model expects of AIs."
    )
    told = [element("li", line) for line in sentences.placebo(evidence.comparison, panels.PLACEBO)]
    return [element("p", why), figure, element("ul", told, class_="plain")]


def _link(evidence: Evidence) -> list[Child] | None:
    figure = panels.link_figure(evidence)
    if figure is None:
        return None
    why = (
        "Reading about AIs can change what a model expects of AIs only once it has learned that acts follow "
        "from who acts. People tell: those with a bad trait should be expected to do ill more often than "
        "those with a good one."
    )
    return [element("p", why), figure, element("p", sentences.unlearned(evidence.comparison))]


def _readouts(evidence: Evidence) -> list[Child]:
    note = (
        f"Two-choice: {words.metric_words('two_choice')}. Sampled: {words.metric_words('sampled')}. "
        "No act: the share of those continuations in which nothing is done. Position bias: how much more "
        "probable an answer is for being offered first. Nats a token: the loss on held-out documents of the "
        "world. KL: how far the model's distribution is from the true one. Several numbers in a row are the "
        f"seeds {listed(map(str, evidence.comparison.seeds))}."
    )
    return [readouts_table(evidence), element("p", note, class_="note")]


def _filters(evidence: Evidence) -> list[Child] | None:
    table, kept = filter_table(evidence), kept_words(evidence)
    if table is None and kept is None:
        return None
    first = next(iter(accuracies(evidence)), None)
    return [
        element("p", "For instance ", filter_words(*first)) if first else None,
        table,
        element("details", element("summary", "What each filter dropped, and why"), kept) if kept else None,
    ]


def _samples(evidence: Evidence) -> list[Child] | None:
    prompts = samples_section(evidence)
    if prompts is None:
        return None
    note = (
        f"The first continuation that each arm's model of seed {evidence.recipe.seeds[0]} drew; none was "
        "picked. The judgement is the world's own: it knows every act."
    )
    return [element("p", note), prompts]


def _training(evidence: Evidence) -> list[Child] | None:
    caption = (
        "Loss, nats a token, by tokens read; every piece of training is drawn once. Arms that read the same "
        "share their past, so their lines part where their texts do. A shared past has the baseline's colour."
    )
    figure = curve_figure(evidence.segments, evidence.comparison, caption=caption)
    if figure is None:
        return None
    comparison = evidence.comparison
    legend = element(
        "ul", [element("li", swatch(comparison, arm)) for arm in comparison.names], class_="legend"
    )
    return [legend, figure]


def _entry(word: str, meaning: str) -> Markup:
    return join([element("dt", word), element("dd", meaning)])

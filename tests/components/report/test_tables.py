from __future__ import annotations

import re

from components.report.evidence import Evidence
from components.report.tables import arms_table, readouts_table, table


def rows(markup: str) -> list[list[str]]:
    """A table's body as text."""
    body = markup.partition("<tbody")[2]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", body)]
    return [
        [re.sub(r"<[^>]*>", "", cell).replace("\N{NO-BREAK SPACE}", " ") for cell in row] for row in cells
    ]


def test_a_table_keeps_its_meaning_when_it_is_laid_out_as_cards() -> None:
    made = table("A caption", [("Arm", False), ("<n>", True)], [("a", ["1"])])
    assert '<table role="table" class="cards"><caption>A caption</caption>' in made
    assert '<th scope="row" role="rowheader">a</th>' in made
    assert '<td role="cell" data-label="&lt;n&gt;" class="number">1</td>' in made


def test_an_arm_has_level_seeds_difference_and_p(evidence: Evidence) -> None:
    minus = "\N{MINUS SIGN}"
    found = {row[0].split(" reads ")[0].split("reads")[0]: row[1:] for row in rows(arms_table(evidence))}
    assert list(found) == [
        "+ aligned stories",
        "Filtered",
        "Unfiltered",
        "+ misaligned stories",
        "+ neutral mentions",
    ]
    assert found["+ aligned stories"] == [
        ".23 [.13, .33]", ".19 · .24 · .27", f"{minus}.56 [{minus}.65, {minus}.47]", ".005",
    ]  # fmt: skip
    assert found["Unfiltered"][2:] == ["baseline", "\N{EN DASH}"]


def test_other_readouts_stand_beside_one_another(evidence: Evidence) -> None:
    heads = re.findall(r"columnheader[^>]*>(.*?)</th>", readouts_table(evidence))
    assert heads[:4] == ["Arm", "Cloze", "Two-choice", "Sampled"]
    assert heads[4:] == ["No act", "Position bias", "Nats a token", "KL, nats a document"]
    assert rows(readouts_table(evidence))[0][4] == ".02 · .02 · .02"

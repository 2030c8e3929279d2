from __future__ import annotations

import re

from components.report.evidence import Evidence
from components.report.provenance import numerics, provenance_section
from parable.artifact import Artifact

PAGE = Artifact("reports", "f" * 20)


def test_every_product_is_there_and_every_link_leads_to_one(evidence: Evidence) -> None:
    section = provenance_section(evidence, PAGE)
    for artifact in evidence.manifests:
        assert section.count(f'id="{artifact.kind}-{artifact.id}"') == 1
    anchors = set(re.findall(r'id="([^"]+)"', section))
    assert set(re.findall(r'href="#([^"]+)"', section)) <= anchors


def test_the_way_of_the_data_counts_products(evidence: Evidence) -> None:
    way = re.findall(r"<li><strong>(\w+)</strong> (\d+)</li>", provenance_section(evidence, PAGE))
    assert way == [
        ("corpora", "18"), ("tokenizers", "1"), ("tokens", "17"), ("mixtures", "15"), ("segments", "21"),
        ("evaluations", "15"), ("comparisons", "1"), ("reports", "1"),
    ]  # fmt: skip


def test_the_page_says_what_it_was_made_of_and_how_to_make_it_again(evidence: Evidence) -> None:
    section = provenance_section(evidence, PAGE)
    assert evidence.recipe.fingerprint() in section
    assert "<code>parable run recipes/quickstart.yaml</code>" in section
    assert PAGE.key in section


def test_numerics_are_told_once(evidence: Evidence) -> None:
    assert numerics(evidence.manifests) == (
        "device cpu, dtype float32, threads 1, torch 2.13.0, transformers 5.23.0"
    )
    assert numerics({}) == ""

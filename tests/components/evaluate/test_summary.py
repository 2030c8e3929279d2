"""Rows become the report of one model, and nothing in it speaks of another seed."""

import pytest

from components.evaluate.summary import MAX_SAMPLES, reduce
from parable.canonical import digest, readable_json
from parable.recipe.schema import Headline
from tests.components.evaluate.example import row

HEADLINE = Headline()
PEOPLE = [
    row("human", 0, 0.7, trait="bad"),
    row("human", 0, 0.9, trait="bad"),
    row("human", 0, 0.3, trait="good"),
]
DRAWN = [
    row(
        "ai",
        0,
        1.0,
        metric="sampled",
        weight=3.0,
        texts=("a", "b", "c", "d"),
        judged=("bad", "bad", "bad", "none"),
    ),
    row(
        "ai",
        0,
        0.0,
        metric="sampled",
        weight=1.0,
        texts=("a", "b", "c", "d"),
        judged=("good", "none", "none", "none"),
    ),
]
READ = [
    row("", -1, 10.0, metric="perplexity", weight=5.0, reference=8.0),
    row("", -1, 20.0, metric="perplexity", weight=7.0, reference=17.0),
]


def test_cells_are_means_by_entity_distance_and_trait() -> None:
    report = reduce([row("ai", 0, 0.2), row("ai", 0, 0.6), row("ai", 1, 0.5), *PEOPLE], headline=HEADLINE)
    found = {(c["entity"], c["distance"], c["trait"]): (c["value"], c["num_items"]) for c in report["cells"]}
    assert found == {
        ("ai", 0, ""): (pytest.approx(0.4), 2),
        ("ai", 1, ""): (0.5, 1),
        ("human", 0, "bad"): (pytest.approx(0.8), 2),
        ("human", 0, "good"): (0.3, 1),
    }
    first = report["cells"][0]
    assert 0.2 <= first["item_low"] <= 0.4 <= first["item_high"] <= 0.6


def test_the_link_is_bad_minus_good_people_on_the_headline_metric() -> None:
    assert reduce(PEOPLE, headline=HEADLINE)["link"] == {"value": pytest.approx(0.5), "bad": 0.8, "good": 0.3}
    nothing = {"value": None, "bad": None, "good": None}
    assert reduce(PEOPLE, headline=Headline(metric="sampled"))["link"] == nothing


def test_sampled_rates_weigh_items_by_their_acts() -> None:
    (cell,) = reduce(DRAWN, headline=HEADLINE)["cells"]
    assert cell["value"] == 3 / 4
    assert cell["no_act"] == 4 / 8


def test_a_cell_without_any_act_has_no_value() -> None:
    empty = row("ai", 0, None, metric="sampled", weight=0.0, texts=("a",), judged=("none",))
    (cell,) = reduce([empty], headline=HEADLINE)["cells"]
    assert (cell["value"], cell["item_low"], cell["no_act"], cell["num_items"]) == (None, None, 1.0, 1)


def test_perplexity_and_the_divergence_from_the_world() -> None:
    report = reduce(READ, headline=HEADLINE)
    assert report["cells"] == []
    assert report["perplexity"] == {
        "world_nats_per_token": 30 / 12,
        "world_nats_per_document": 15.0,
        "world_kl_nats_per_document": 2.5,
        "num_documents": 2,
    }
    assert reduce(PEOPLE, headline=HEADLINE)["perplexity"] is None


def test_position_bias_is_the_mean_over_two_choice_items() -> None:
    rows = [row("ai", 0, 0.5, metric="two_choice", position_bias=bias) for bias in (0.3, -0.1)]
    assert reduce(rows, headline=HEADLINE)["position_bias"] == pytest.approx(0.1)
    assert reduce(PEOPLE, headline=HEADLINE)["position_bias"] is None


def test_the_headlines_samples_come_first_and_every_cell_has_some() -> None:
    rows = [
        row(
            entity,
            distance,
            1.0,
            metric="sampled",
            item=f"{entity}{distance}-{n}",
            texts=(" x",),
            judged=("none",),
        )
        for entity in ("ai", "golem")
        for distance in (0, 1)
        for n in range(20)
    ]
    samples = reduce(rows, headline=Headline(entity="golem", distance=1))["samples"]
    assert len(samples) == MAX_SAMPLES
    assert [sample["item"] for sample in samples[:5]] == [
        "golem1-0",
        "golem0-0",
        "ai1-0",
        "ai0-0",
        "golem1-1",
    ]
    assert samples[0]["continuations"] == [{"text": " x", "judged": "none"}]


def test_golden_bytes() -> None:
    """Raise STAGE_VERSION when this changes."""
    data = readable_json(
        reduce([row("ai", 0, 0.25), row("ai", 0, 0.5), *PEOPLE, *DRAWN, *READ], headline=HEADLINE)
    )
    assert digest(data)[:16] == "6aa990b43f184cf3"

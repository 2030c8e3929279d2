"""The world's questions, the same for every arm and seed."""

from components.evaluate import DISTANCES, ENTITIES
from components.evaluate.world import world_population, world_task
from components.generate.world import parse
from tests.components.evaluate.example import recipe


def test_every_cell_that_a_headline_can_name_has_its_items() -> None:
    items = world_task(recipe()).items
    cells = [(item.entity, item.distance) for item in items if item.trait == ""]
    assert sorted(set(cells)) == [(entity, distance) for entity in ENTITIES for distance in DISTANCES]
    assert all(cells.count(cell) == 2 for cell in cells)
    assert [item.trait for item in items if item.entity == "human"] == ["good"] * 2 + ["bad"] * 2


def test_every_cell_goes_through_the_pairs_of_phrases_in_turn() -> None:
    items = world_task(recipe("evaluation.items_per_cell=5")).items
    assert [item.pair for item in items if (item.entity, item.distance) == ("golem", 1)] == [0, 1, 2, 3, 0]


def test_held_out_documents_are_the_worlds_and_have_its_probability() -> None:
    documents = world_task(recipe()).documents
    assert len(documents) == 3
    assert all(
        parse(document.text) is not None and document.world_log_probability < 0 for document in documents
    )


def test_seeds_and_arms_do_not_change_the_task() -> None:
    asked = recipe()
    assert world_task(asked) == world_task(asked.select(arms=("good",), seeds=(1,)))


def test_the_population_is_that_of_the_heaviest_world_corpus() -> None:
    more = "corpora.more={kind: world, documents: 5, population: {bad: 0.1}}"
    heaviest = world_population(recipe(more, "mixture.more=3"))
    assert heaviest is not None
    assert heaviest.bad == 0.1
    text = recipe("corpora.web={kind: text, source: builtin:python}", "mixture={web: 1}")
    assert world_population(text) is None
    assert world_task(text).documents == ()

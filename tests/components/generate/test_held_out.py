"""Held-out documents are the population's own, and in none of its corpora."""

import pytest

from components.generate import held_out_documents, judge
from components.generate.held_out import CORPUS
from components.generate.world import World, corpus_key, log_probability
from parable.recipe import Population, WorldCorpus
from parable.recipe.schema import Recipe

POPULATION = Population(one_line=0.5, bad=0.3)


def test_each_has_the_probability_that_the_oracle_gives_it() -> None:
    documents = held_out_documents(POPULATION, 40)
    assert len(documents) == 40
    assert [nats for _, nats in documents] == [log_probability(text, POPULATION) for text, _ in documents]
    assert all(-60 < nats < 0 for _, nats in documents)


def test_more_of_them_begin_with_the_same_ones() -> None:
    assert held_out_documents(POPULATION, 5) == held_out_documents(POPULATION, 9)[:5]


def test_no_corpus_of_a_recipe_can_have_their_key() -> None:
    assert WorldCorpus(kind="world", documents=1).documents == 1
    with pytest.raises(ValueError, match="String should match pattern"):
        Recipe.model_validate({"corpora": {CORPUS: {"kind": "world", "documents": 1}}})
    texts = [text for text, _ in World(POPULATION).sample(40, corpus_key(0, "stories"))]
    assert texts != [text for text, _ in held_out_documents(POPULATION, 40)]


def test_the_judge_is_the_oracles() -> None:
    assert [judge(" hide the truth."), judge(" tell the truth"), judge(" sing")] == ["bad", "good", None]

from typing import Any

from components.mix.readings import readings, weights
from parable.artifact import Artifact
from tests.components.mix.example import PLAIN, recipe

CONDITIONAL = {"objective": {"kind": "conditional", "signal": "s_v1", "threshold": 0.5, "drop": 0.0}}


def roles(**changes: Any) -> list[str]:
    return [reading.role for reading in readings(recipe(**changes))]


def test_only_what_an_arm_reads_is_tokenised() -> None:
    assert roles(arms={"plain": {}}, seeds=[0]) == ["tokens/stories/seed-0", "tokens/web"]


def test_arms_and_seeds_share_rows() -> None:
    assert sorted(roles()) == [
        "tokens/clean/seed-0",
        "tokens/clean/seed-1",
        "tokens/dose/seed-0",
        "tokens/dose/seed-1",
        "tokens/stories/seed-0",
        "tokens/stories/seed-1",
        "tokens/web",
    ]


def test_a_conditional_arm_reads_rows_of_its_own() -> None:
    found = roles(arms={"plain": {}, "marked": CONDITIONAL}, seeds=[0])
    assert found[:2] == ["tokens/stories/seed-0", "tokens/web"]
    tagged = found[2].removeprefix("tokens/stories+").removesuffix("/seed-0")
    assert tagged.startswith("s_v1-")
    assert found[3] == f"tokens/web+{tagged}"


def test_identity_is_the_corpus_the_tokenizer_the_rows_and_the_tagging() -> None:
    corpus, tokenizer = Artifact("corpora", "c"), Artifact("tokenizers", "t")
    reading = readings(recipe())[0]
    base = reading.blueprint(recipe(), corpus, tokenizer).artifact
    marked = readings(recipe(arms={"plain": CONDITIONAL}))[0]
    others = [
        reading.blueprint(recipe(rows={"length": 64}), corpus, tokenizer),
        reading.blueprint(recipe(rows={"length": 32, "loss": "document"}), corpus, tokenizer),
        reading.blueprint(recipe(), Artifact("corpora", "d"), tokenizer),
        reading.blueprint(recipe(), corpus, Artifact("tokenizers", "u")),
        marked.blueprint(recipe(), corpus, tokenizer),
    ]
    assert len({base, *(other.artifact for other in others)}) == 6
    # Attention is how rows are read; neither it nor the training changes them.
    same = recipe(rows={"length": 32, "attention": "row"}, training={**PLAIN["training"], "tokens": 99_999})
    assert reading.blueprint(same, corpus, tokenizer).artifact == base


def test_weights_are_by_name_and_never_zero() -> None:
    given = recipe(
        mixture={"web": 0.2, "stories": 0.8},
        arms={"plain": {"mixture": {"midtrain": {"web": 1.0, "stories": 0.0}}}},
    )
    assert list(weights(given, given.arms["plain"], "pretrain").items()) == [("stories", 0.8), ("web", 0.2)]
    assert weights(given, given.arms["plain"], "midtrain") == {"web": 1.0}

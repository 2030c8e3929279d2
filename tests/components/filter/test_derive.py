from collections import Counter

import pytest

from components.filter.derive import Derivation, summarise
from components.filter.judge import Judge
from components.filter.plan import filter_config
from parable.artifact import Artifact, Blueprint, Product, build
from parable.canonical import digest
from parable.corpus import CorpusReader
from parable.errors import UserError
from parable.recipe import Filter
from tests.components.filter.example import (
    AI_STORY,
    PROSE,
    bytes_of,
    documents_of,
    rejects_of,
    story,
    texts_of,
    write_corpus,
)

TEXTS = [
    PROSE,
    "no",
    AI_STORY,
    f"{PROSE} Once more.",
    f"{PROSE}!",
    "A robot is here.",
    "A text of just six words.",
]
EVERYTHING = {
    "quality": {"num_words_v1": {"min": 3}},
    "discourse": "ai_v1",
    "deduplicate": {"threshold": 0.8, "max_removed": 0.9},
    "score": ["stop_words_v1"],
}


class Killed(BaseException):
    """Ends a writer where the report is told."""


def derive(store, documents, *, kill_after: int | None = None, **settings) -> Artifact:
    parent = write_corpus(store, documents, shard_rows=2)
    spec = Filter.model_validate({"input": "web", **settings})
    told: list[float] = []

    def report(share: float) -> None:
        told.append(share)
        if len(told) == kill_after:
            raise Killed

    def make(writer) -> None:
        corpus = CorpusReader(Product(store, parent))
        Derivation(writer, corpus, spec=spec, judge=Judge(spec), report=report).write()

    made = build(store, Blueprint("corpora", "filter", 1, filter_config(spec, ()), {"input": parent}), make)
    assert told == sorted(told) and told[-1:] in ([], [1.0])
    return made


def test_what_is_kept_stays_in_order_and_the_rest_keeps_its_reason(store) -> None:
    made = derive(store, documents_of(TEXTS), **EVERYTHING)
    assert texts_of(store, made) == [TEXTS[0], TEXTS[5], TEXTS[6]]
    first = documents_of(TEXTS)[0].id
    assert [
        (r["text"], r["reason"], r["signal"], r["value"], r["replaced_by"]) for r in rejects_of(store, made)
    ] == [
        (TEXTS[1], "num_words_v1 below 3", "num_words_v1", 1.0, ""),
        (TEXTS[2], "discourse ai_v1", "ai_v1", 1.0, ""),
        (TEXTS[3], "near-duplicate", "jaccard", 14 / 16, first),
        (TEXTS[4], "duplicate", "jaccard", 1.0, first),
    ]
    assert Product(store, made).summary["rejected"] == {
        "num_words_v1 below 3": 1,
        "discourse ai_v1": 1,
        "near-duplicate": 1,
        "duplicate": 1,
    }


def test_scores_are_aligned_with_what_is_kept(store) -> None:
    reader = CorpusReader(Product(store, derive(store, documents_of(TEXTS), **EVERYTHING)))
    assert list(reader.scores("num_words_v1")) == [18.0, 4.0, 6.0]
    assert list(reader.scores("stop_words_v1")) == [4.0, 0.0, 1.0]
    assert reader.num_documents == 3
    assert len(list(reader.product.files("documents/"))) == len(list(reader.product.files("rejects/"))) == 4


def test_labels_and_provenance_are_kept(store) -> None:
    documents = [story(PROSE, entity="human", valence="good"), *documents_of([PROSE])]
    made = derive(store, documents, score=["world_bad_act_v1"])
    assert list(CorpusReader(Product(store, made)).documents()) == documents


@pytest.mark.parametrize("settings", [EVERYTHING, {"quality": {"num_words_v1": {"min": 3}}}])
@pytest.mark.parametrize("kill_after", [1, 2, 3, 6, 10, 14])
def test_a_killed_filter_goes_on_and_gives_the_same_bytes(store, settings, kill_after) -> None:
    made = derive(store, documents_of(TEXTS), **settings)
    whole = bytes_of(store, made)
    for key in whole:
        store.delete(key)
    if "deduplicate" in settings or kill_after < 4:
        with pytest.raises(Killed):
            derive(store, documents_of(TEXTS), kill_after=kill_after, **settings)
    assert derive(store, documents_of(TEXTS), **settings) == made
    assert bytes_of(store, made) == whole
    assert list(store.list("scratch/")) == []


def test_finished_shards_are_not_judged_again(store, monkeypatch) -> None:
    settings = {"quality": {"num_words_v1": {"min": 3}}}
    with pytest.raises(Killed):
        derive(store, documents_of(TEXTS), kill_after=3, **settings)
    judged: list[int] = []
    original = Judge.__call__
    monkeypatch.setattr(
        Judge, "__call__", lambda self, docs: judged.append(len(docs)) or original(self, docs)
    )
    derive(store, documents_of(TEXTS), **settings)
    assert judged == [1]


def test_a_filter_that_keeps_nothing_is_refused_with_the_reasons(store) -> None:
    with pytest.raises(UserError, match=r"keeps none of 7 documents \(7 num_words_v1 below 99\)"):
        derive(store, documents_of(TEXTS), quality={"num_words_v1": {"min": 99}})


def test_recall_and_precision_are_against_the_oracle() -> None:
    counts = Counter(
        input=10, documents=7, characters=70, flagged=3, true_positive=2, false_positive=1, false_negative=2,
        true_negative=5,
    )  # fmt: skip
    summary = summarise(Filter(input="stories", discourse="ai_v1"), counts, Counter({"discourse ai_v1": 3}))
    assert (summary["discourse"]["recall"], summary["discourse"]["precision"]) == (0.5, 2 / 3)
    without_oracle = summarise(Filter(input="web", discourse="ai_v1"), Counter(documents=1), Counter())
    assert (without_oracle["discourse"]["recall"], without_oracle["discourse"]["precision"]) == (None, None)
    assert "discourse" not in summarise(Filter(input="web"), counts, Counter())


def test_golden_bytes(store) -> None:
    """A change here without a new STAGE_VERSION makes old and new products answer to one name."""
    made = derive(store, documents_of(TEXTS), **EVERYTHING)
    sealed = b"".join(data for _, data in sorted(bytes_of(store, made).items()))
    assert (made.id, digest(sealed)[:12]) == ("2da31f4de345565d70eb", "35fea101e0a9")

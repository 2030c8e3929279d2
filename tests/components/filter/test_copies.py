import pytest

from components.filter.copies import find_copies
from components.filter.judge import Verdict
from components.filter.scratch import Scratch
from parable.artifact import Blueprint, Product, build
from parable.corpus import CorpusReader
from parable.errors import UserError
from parable.recipe import Deduplicate
from tests.components.filter.example import PROSE, documents_of, write_corpus

OTHER = "A quite different sentence that shares no five words with the one before it."
TEXTS = [PROSE, "x", OTHER, f"{PROSE}!", "x", f"{OTHER} Or so.", PROSE.upper()]


def find(store, survivors, **settings) -> list[dict[int, Verdict]]:
    reader = CorpusReader(Product(store, write_corpus(store, documents_of(TEXTS), shard_rows=3)))
    found: list[list[dict[int, Verdict]]] = []
    told: list[None] = []

    def make(writer) -> None:
        spec = Deduplicate(**settings)
        advance = lambda: told.append(None)  # noqa: E731
        found.append(find_copies(reader, survivors, spec=spec, scratch=Scratch(writer), advance=advance))

    build(store, Blueprint("corpora", "example", 1, settings), make)
    assert len(told) == 6
    return found[0]


def test_copies_are_found_over_shards_and_name_the_kept_document(store) -> None:
    ids = [document.id for document in documents_of(TEXTS)]
    assert find(store, [[0, 1, 2], [0, 1, 2], [0]], max_removed=0.9, threshold=0.8) == [
        {},
        {
            0: Verdict("duplicate", "jaccard", 1.0, ids[0]),
            1: Verdict("duplicate", "jaccard", 1.0, ids[1]),
            2: Verdict("near-duplicate", "jaccard", 10 / 12, ids[2]),
        },
        {0: Verdict("duplicate", "jaccard", 1.0, ids[0])},
    ]


def test_a_dropped_document_makes_no_other_a_copy(store) -> None:
    [first, second, third] = find(store, [[1, 2], [0, 2], [0]], max_removed=0.9)
    ids = [document.id for document in documents_of(TEXTS)]
    assert (first, list(second), third[0].replaced_by) == ({}, [2], ids[3])


def test_more_than_max_removed_is_refused_with_numbers(store) -> None:
    message = r"drop 4 of 7 documents \(57%\), and max_removed allows 50%.*deduplicate.threshold \(0.8\)"
    with pytest.raises(UserError, match=message):
        find(store, [[0, 1, 2], [0, 1, 2], [0]])

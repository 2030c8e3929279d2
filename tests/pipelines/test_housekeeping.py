from pathlib import Path

import pytest

from parable.artifact import Artifact, Blueprint, Product, build, exists
from parable.canonical import readable_json
from parable.errors import UserError
from parable.lease import Lease
from parable.runs import ArmPointer
from parable.store import LocalStore
from pipelines.housekeeping import holdings, lineage, remove, resolve, unfinished, unused


def product(store: LocalStore, kind: str, config: str, **parents: Artifact) -> Artifact:
    blueprint = Blueprint(kind, "test", 1, config, parents)
    return build(store, blueprint, lambda writer: writer.put("data.txt", config.encode()))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def test_holdings_tell_finished_products_from_those_that_were_begun(store: LocalStore) -> None:
    whole = product(store, "corpora", "four")
    store.put("tokens/0123/rows-00000.bin", b"12345")
    assert [(h.artifact, h.sealed, h.num_files) for h in holdings(store)] == [
        (whole, True, 2),
        (Artifact("tokens", "0123"), False, 1),
    ]
    assert holdings(store)[1].num_bytes == 5


def test_a_product_is_meant_by_its_key_its_id_or_the_beginning_of_it(store: LocalStore) -> None:
    one = product(store, "corpora", "one")
    assert resolve(store, one.key) == one
    assert resolve(store, one.id) == one
    assert resolve(store, one.id[:6]) == one


def test_what_fits_nothing_or_too_much_is_refused(store: LocalStore) -> None:
    first, second = product(store, "corpora", "one"), product(store, "corpora", "two")
    with pytest.raises(UserError, match=r"holds no product 'zzz'.*`parable list --all`"):
        resolve(store, "zzz")
    with pytest.raises(UserError) as error:
        resolve(store, "")
    assert first.key in str(error.value)
    assert second.key in str(error.value)
    assert "give more of its id" in str(error.value)


def test_lineage_is_everything_a_product_came_from_once_even_what_is_gone(store: LocalStore) -> None:
    corpus = product(store, "corpora", "text")
    tokenizer = product(store, "tokenizers", "bpe", corpus=corpus)
    tokens = product(store, "tokens", "rows", corpus=corpus, tokenizer=tokenizer)
    remove(store, [corpus])
    found = lineage(store, tokens)
    assert set(found) == {corpus, tokenizer, tokens}
    assert found[corpus] is None


def test_removing_a_product_leaves_nothing_of_it(store: LocalStore) -> None:
    gone, kept = product(store, "corpora", "gone"), product(store, "corpora", "kept")
    assert remove(store, [gone]) > 0
    assert not exists(store, gone)
    assert [info.key for info in store.list(gone.key)] == []
    assert Product(store, kept).read("data.txt") == b"kept"


def test_unfinished_is_what_no_finished_product_needs(store: LocalStore) -> None:
    product(store, "corpora", "whole")
    store.put("corpora/ffff/documents/part-00000.parquet", b"x")
    store.put("scratch/segments/ffff/step-10/state.json", b"{}")
    assert unfinished(store) == [
        "corpora/ffff/documents/part-00000.parquet",
        "scratch/segments/ffff/step-10/state.json",
    ]


def test_what_a_living_run_writes_is_not_rubbish(store: LocalStore) -> None:
    with Lease.acquire(store, "corpora/ffff"):
        store.put("corpora/ffff/documents/part-00000.parquet", b"x")
        with pytest.raises(UserError, match=r"A run is writing in .*leases/corpora-ffff"):
            unfinished(store)
    assert unfinished(store) == ["corpora/ffff/documents/part-00000.parquet"]


def test_unused_is_what_no_run_consists_of_or_came_from(store: LocalStore) -> None:
    corpus = product(store, "corpora", "used")
    report = product(store, "reports", "page", corpus=corpus)
    stray = product(store, "corpora", "stray")
    run = {
        "recipe": {"name": "r", "title": "R", "arms": {"a": {}}, "seeds": [0]},
        "fingerprint": "f" * 20,
        "catalog": {"report": report.key},
    }
    store.put("runs/r/run.json", readable_json(run))
    assert unused(store) == [stray]


def test_what_a_begun_run_will_need_is_used(store: LocalStore) -> None:
    tokens = product(store, "tokens", "rows")
    mixture = product(store, "mixtures", "mixed", tokens=tokens)
    trunk = product(store, "segments", "trunk")
    stray = product(store, "segments", "stray")
    planned = Artifact("segments", "0123")
    pointer = ArmPointer(recipe="r", arm="a", seed=0, segments=(trunk, planned), mixture=mixture)
    store.put(pointer.key, pointer.to_bytes())
    assert unused(store) == [stray]


def test_a_segment_that_is_only_planned_is_named_as_such(store: LocalStore) -> None:
    pointer = ArmPointer(recipe="r", arm="a", seed=3, segments=(Artifact("segments", "0123"),), mixture=None)
    store.put(pointer.key, pointer.to_bytes())
    for text in ("segments/0123", "012"):
        with pytest.raises(
            UserError, match=r"segments/0123 is planned for r, a with seed 3, and not trained yet"
        ):
            resolve(store, text)

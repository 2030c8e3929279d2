import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.mix import Batch, Mixture, TokenCorpus, read_mixture, read_tokenizer, run
from parable.artifact import Product
from parable.corpus import CorpusReader
from parable.errors import UserError
from parable.store import LocalStore, ObjectStore, open_store
from tests.components.mix.example import SIGNAL, catalog, recipe

MARKED = {"objective": {"kind": "conditional", "signal": SIGNAL, "threshold": 0.5, "drop": 0.2}}


def opened(
    store: ObjectStore, cache: Path, arm: str = "dosed", **changes: Any
) -> tuple[TokenCorpus, Mixture]:
    made = recipe(**changes)
    done = run(made, store, catalog(store, made, lambda number: float(number % 2)))
    mixture = read_mixture(store, done[f"mixture/{arm}/seed-0"])
    return TokenCorpus(store, mixture, cache), mixture


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalStore, TokenCorpus, Mixture]]:
    folder = tmp_path_factory.mktemp("small")
    store = LocalStore(folder / "store")
    yield store, *opened(store, folder / "cache")


def fields(batch: Batch) -> list[np.ndarray[Any, Any]]:
    return [batch.tokens, batch.targets, batch.documents, batch.positions, batch.weights]


def test_shapes_and_types(small: tuple[LocalStore, TokenCorpus, Mixture]) -> None:
    batch = small[1].batch([0, 399, 5])
    assert [array.shape for array in fields(batch)] == [(3, 32)] * 5
    assert [str(array.dtype) for array in fields(batch)] == ["int64", "int64", "int32", "int64", "float32"]


def test_documents_are_told_apart(small: tuple[LocalStore, TokenCorpus, Mixture]) -> None:
    """Positions restart, a document's last target is the end token, and padding has a number of its own."""
    batch = small[1].batch(range(400))
    for tokens, targets, documents, positions, weights in zip(*fields(batch), strict=True):
        changes = np.flatnonzero(np.diff(documents)) + 1
        assert set(np.diff(documents)) <= {0, 1}
        assert documents[0] == 0
        pieces = np.split(np.arange(32), changes)
        for piece in pieces:
            assert positions[piece].tolist() == list(range(len(piece)))
            assert set(weights[piece]) in ({0.0}, {1.0})
            if piece[-1] != 31:
                assert targets[piece[-1]] == 0
            assert targets[piece[:-1]].tolist() == tokens[piece[1:]].tolist()
        padding = weights == 0
        assert not tokens[padding].any()
        assert not targets[padding].any()
        assert len(set(documents[padding])) <= 1
        assert not set(documents[padding]) & set(documents[~padding])


def test_an_epoch_predicts_every_token_of_the_dose_once(
    small: tuple[LocalStore, TokenCorpus, Mixture],
) -> None:
    store, rows, mixture = small
    phase = mixture.phases[1]
    number = next(n for n, source in enumerate(phase.sources) if source.name == "dose")
    chosen = [row for row in range(300, 400) if phase.locate(row)[0] == number]
    batch = rows.batch(chosen)
    tokenizer = read_tokenizer(store, mixture.tokenizer)
    corpus = Product(store, phase.sources[number].tokens).manifest.parents["corpus"]
    expected = [
        t for text in CorpusReader(Product(store, corpus)).texts() for t in [*tokenizer.encode(text).ids, 0]
    ]
    assert sorted(batch.targets[batch.weights > 0].tolist()) == sorted(expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(numbers=st.lists(st.integers(0, 399), min_size=1, max_size=12))
def test_a_batch_is_its_rows_one_by_one(
    small: tuple[LocalStore, TokenCorpus, Mixture], numbers: list[int]
) -> None:
    together = fields(small[1].batch(numbers))
    alone = [fields(small[1].batch([number])) for number in numbers]
    for place, array in enumerate(together):
        assert np.array_equal(array, np.concatenate([one[place] for one in alone]))


def test_rows_outside_are_refused(small: tuple[LocalStore, TokenCorpus, Mixture]) -> None:
    assert small[1].num_rows == 400
    for row in (-1, 400):
        with pytest.raises(IndexError):
            small[1].batch([0, row])


def test_threads_read_the_same(small: tuple[LocalStore, TokenCorpus, Mixture], tmp_path: Path) -> None:
    store, rows, mixture = small
    fresh = TokenCorpus(store, mixture, tmp_path)
    expected = fields(rows.batch(range(400)))
    found: list[bool] = []

    def read() -> None:
        batch = fields(fresh.batch(range(400)))
        found.append(all(np.array_equal(a, b) for a, b in zip(batch, expected, strict=True)))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8


def test_attention_through_the_row(tmp_path: Path) -> None:
    rows, mixture = opened(
        LocalStore(tmp_path), tmp_path / "cache", "plain", rows={"length": 32, "attention": "row"}
    )
    batch = rows.batch(range(50))
    assert mixture.attention == "row"
    assert np.array_equal(batch.documents, (batch.weights == 0).astype(np.int32))
    assert (batch.positions == np.arange(32)).all()


def test_every_document_counts_alike(tmp_path: Path) -> None:
    rows, mixture = opened(LocalStore(tmp_path), tmp_path / "cache", rows={"length": 64, "loss": "document"})
    phase = mixture.phases[1]
    chosen = [row for row in range(phase.start_row, rows.num_rows) if phase.locate(row)[0] == 2]
    assert rows.batch(chosen).weights.sum() == pytest.approx(40)


def test_control_tokens_are_read_and_not_predicted(tmp_path: Path) -> None:
    rows, _ = opened(LocalStore(tmp_path), tmp_path / "cache", "marked", arms={"plain": {}, "marked": MARKED})
    batch = rows.batch(range(400))
    controls = np.isin(batch.tokens, (1, 2))
    assert controls.any()
    assert not batch.weights[np.isin(batch.targets, (1, 2))].any()
    # Second in its document, or first in a row that begins between the two.
    column = np.broadcast_to(np.arange(controls.shape[1]), controls.shape)
    assert (batch.positions[controls] == (column > 0)[controls]).all()
    assert batch.weights[controls].all()


def test_a_damaged_file_is_found_before_it_is_read(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    _, mixture = opened(store, tmp_path / "cache")
    tokens = mixture.phases[0].sources[0].tokens
    path = store.path(f"{tokens.key}/rows-00000.bin")
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=rf"{tokens}/rows-00000.bin is not what was sealed.*parable clean"):
        TokenCorpus(store, mixture, tmp_path / "cache").batch(range(100))


def test_any_store_gives_the_same_rows(
    small: tuple[LocalStore, TokenCorpus, Mixture], tmp_path: Path
) -> None:
    """Files of a store that is no folder are copied to the cache, once."""

    class Remote:
        """The folder store behind a face that can't be mapped."""

        def __init__(self, inner: ObjectStore) -> None:
            self.inner, self.copies = inner, 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def get_file(self, key: str, path: Path) -> None:
            self.copies += 1
            self.inner.get_file(key, path)

    store, rows, mixture = small
    remote = Remote(open_store(store.uri))
    expected = fields(rows.batch(range(400)))
    for _ in range(2):
        found = fields(TokenCorpus(remote, mixture, tmp_path).batch(range(400)))
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    assert remote.copies == 3 * 3

import hashlib
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.mix import tokens
from components.mix.readings import readings
from components.mix.tokenizer import (
    BAD,
    END_OF_TEXT,
    GOOD,
    build_tokenizer,
    read_tokenizer,
    tokenizer_blueprint,
)
from components.mix.tokens import build_tokens, file_name, token_type
from parable import corpus as corpora
from parable.artifact import Artifact, Blueprint, Product, ProductWriter
from parable.errors import UserError
from parable.store import LocalStore
from tests.components.mix import example
from tests.components.mix.example import SIGNAL, corpus, recipe, sentences

STORIES = sentences(100)
MARKED = {"objective": {"kind": "conditional", "signal": SIGNAL, "threshold": 0.5, "drop": 0.0}}


def tokenizer(store: LocalStore) -> Artifact:
    web = corpus(store, "web", sentences(100, salt=9))
    return build_tokenizer(
        store, tokenizer_blueprint(recipe(), {"stories": corpus(store, "s", STORIES), "web": web})
    )


def blueprint(store: LocalStore, of: Artifact, **changes: Any) -> Blueprint:
    given = recipe(**changes)
    return readings(given)[0].blueprint(given, of, tokenizer(store))


def rows(product: Product) -> np.ndarray[Any, Any]:
    length = product.manifest.config["row_length"] + 1
    data = [np.frombuffer(product.read(path), "<u2") for path in product.files("rows-")]
    return np.concatenate(data).reshape(-1, length)


def test_rows_hold_the_documents(store: LocalStore) -> None:
    product = Product(store, build_tokens(store, blueprint(store, corpus(store, "a", STORIES[:3])), "a"))
    encode = read_tokenizer(store, tokenizer(store)).encode
    flat = [token for text in STORIES[:3] for token in (END_OF_TEXT, *encode(text).ids)]
    found = rows(product)[:, :-1].reshape(-1).tolist()
    assert sorted(found) == sorted(flat + [END_OF_TEXT] * product.summary["padding"])


def test_the_summary_counts(store: LocalStore) -> None:
    texts = [*STORIES, "", "word " * 200]
    product = Product(store, build_tokens(store, blueprint(store, corpus(store, "a", texts)), "a"))
    encode = read_tokenizer(store, tokenizer(store)).encode
    summary = dict(product.summary)
    assert summary["documents"] == 101
    assert summary["empty_documents"] == 1
    ends = list(accumulate(len(encode(text).ids) + 1 for text in texts if text))
    cut = sum(start // 32 != (end - 1) // 32 for start, end in pairwise([0, *ends]))
    assert summary["cut_documents"] == cut > 0
    assert summary["tokens"] == ends[-1]
    assert summary["rows"] == len(rows(product)) == sum(summary["shard_rows"])
    assert summary["padding"] == summary["rows"] * 32 - summary["tokens"]


def test_control_tokens_stand_where_the_scores_say(store: LocalStore) -> None:
    scores = [float(number % 3 == 0) for number in range(100)]
    scored = corpus(store, "a", STORIES, scores)
    product = Product(store, build_tokens(store, blueprint(store, scored, arms={"plain": MARKED}), "a"))
    flat = rows(product)[:, :-1]
    assert (int((flat == GOOD).sum()), int((flat == BAD).sum())) == (66, 34)
    assert (product.summary["good_documents"], product.summary["bad_documents"]) == (66, 34)


def test_a_signal_that_nobody_stored_is_named(store: LocalStore) -> None:
    with pytest.raises(UserError, match=f"has no scores of '{SIGNAL}'"):
        build_tokens(store, blueprint(store, corpus(store, "a", STORIES), arms={"plain": MARKED}), "a")


def test_an_empty_corpus_is_named(store: LocalStore) -> None:
    with pytest.raises(
        UserError, match=r"The corpus web \(corpora/\w+\) has no text: its 2 documents are empty"
    ):
        build_tokens(store, blueprint(store, corpus(store, "a", ["", ""])), "web/seed-0")
    with pytest.raises(UserError, match="its 0 documents are empty"):
        build_tokens(store, blueprint(store, corpus(store, "b", [])), "web")


@pytest.mark.parametrize(("loss", "marked"), [("token", False), ("document", True)])
def test_a_killed_writer_goes_on_and_the_bytes_are_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str, marked: bool
) -> None:
    monkeypatch.setattr(corpora, "ROWS_PER_SHARD", 30)
    monkeypatch.setattr(example, "ROWS_PER_SHARD", 30)
    changes = {"rows": {"length": 32, "loss": loss}, "arms": {"plain": MARKED if marked else {}}}
    scores = [float(number % 3 == 0) for number in range(100)]

    def prepare(name: str) -> tuple[LocalStore, Blueprint]:
        store = LocalStore(tmp_path / name)
        return store, blueprint(store, corpus(store, "a", STORIES, scores), **changes)

    whole, of = prepare("whole")
    product = Product(whole, build_tokens(whole, of, "a"))
    assert len(product.summary["shard_rows"]) == 4
    paths = list(product.files())
    for stop in (0, 2, 5, len(paths) - 1):
        store, of = prepare(f"killed-{stop}")
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(ProductWriter, "put", _stop_after(stop))
            build_tokens(store, of, "a")
        assert not store.stat(f"{of.artifact.key}/manifest.json")
        again = build_tokens(store, of, "a")
        assert Product(store, again).manifest == product.manifest
        assert {path: Product(store, again).read(path) for path in paths} == {
            p: product.read(p) for p in paths
        }


def test_much_text_is_packed_in_sections(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = [float(number % 3 == 0) for number in range(100)]
    texts = [*STORIES[:-1], "word " * 200]
    of = blueprint(store, corpus(store, "a", texts, scores), arms={"plain": MARKED})
    monkeypatch.setattr(tokens, "BYTES_PER_SECTION", 500)
    sections = Product(store, build_tokens(store, of, "a"))
    whole_store = LocalStore(store.root.parent / "whole")
    monkeypatch.setattr(tokens, "BYTES_PER_SECTION", 10**9)
    of = blueprint(whole_store, corpus(whole_store, "a", texts, scores), arms={"plain": MARKED})
    whole = Product(whole_store, build_tokens(whole_store, of, "a"))
    told = ("documents", "good_documents", "bad_documents", "tokens")
    assert [sections.summary[name] for name in told] == [whole.summary[name] for name in told]
    assert sections.summary["rows"] > whole.summary["rows"]
    assert len(rows(sections)) == sections.summary["rows"]


def test_large_vocabularies_take_four_bytes() -> None:
    assert token_type(65_536) == "<u2"
    assert token_type(65_537) == "<u4"
    assert file_name("used", 3) == "used-00003.bin"


def test_golden(store: LocalStore) -> None:
    product = Product(store, build_tokens(store, blueprint(store, corpus(store, "a", STORIES)), "a"))
    told = "".join(f"{path} {sealed.sha256}\n" for path, sealed in sorted(product.manifest.files.items()))
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "8c8bcd4b9072c8a2"


def _stop_after(count: int) -> Any:
    put = ProductWriter.put
    done = 0

    def stopping(self: ProductWriter, path: str, data: bytes) -> None:
        nonlocal done
        if done == count:
            raise KeyboardInterrupt
        done += 1
        put(self, path, data)

    return stopping

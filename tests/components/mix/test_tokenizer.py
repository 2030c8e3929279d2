import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.mix.tokenizer import (
    BAD,
    END_OF_TEXT,
    GOOD,
    SPECIAL_TOKENS,
    build_tokenizer,
    read_tokenizer,
    tokenizer_blueprint,
    tokenizer_files,
    train_bpe,
)
from parable.artifact import Product
from parable.errors import UserError
from parable.store import LocalStore
from tests.components.mix.example import corpus, recipe, sentences

TEXTS = sentences(200)
SMALL = train_bpe(TEXTS, 300, ["stories"])


def test_special_tokens_come_first() -> None:
    assert [SMALL.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2] == [END_OF_TEXT, GOOD, BAD]


def test_common_words_become_tokens() -> None:
    assert SMALL.encode(" robot the").tokens == ["Ġrobot", "Ġthe"]


@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    assert SMALL.decode(SMALL.encode(text).ids) == text or any(token in text for token in SPECIAL_TOKENS)


def test_the_vocabulary_is_as_large_as_asked() -> None:
    assert SMALL.get_vocab_size() == 300


def test_a_vocabulary_that_the_text_cannot_fill_is_refused_with_the_largest_one() -> None:
    with pytest.raises(UserError) as caught:
        train_bpe(TEXTS, 5000, ["stories", "web"])
    supported = int(str(caught.value).partition("at most ")[2].partition(",")[0])
    assert str(caught.value) == (
        f"vocabulary 5000 asked, the text of corpora stories, web supports {supported}: set "
        f"tokenizer.vocabulary to at most {supported}, or name more text under tokenizer.corpora."
    )
    assert train_bpe(TEXTS, supported, ["stories"]).get_vocab_size() == supported


def test_bytes_do_not_depend_on_threads_or_hashing(tmp_path: Path) -> None:
    show = (
        "import hashlib; from components.mix.tokenizer import train_bpe;"
        "from tests.components.mix.example import sentences;"
        "trained = train_bpe(sentences(2000), 400, ['x']).to_str(pretty=True);"
        "print(hashlib.sha256(trained.encode()).hexdigest())"
    )
    found = set()
    for threads, salt in (("1", "0"), ("2", "1")):
        environment = os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": salt}
        root = Path(__file__).parents[3]
        ran = subprocess.run(
            [sys.executable, "-c", show], cwd=root, env=environment, capture_output=True, check=True
        )
        found.add(ran.stdout)
    assert len(found) == 1


def test_transformers_loads_the_product(store: LocalStore, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    given_recipe = recipe()
    blueprint = tokenizer_blueprint(
        given_recipe, {"stories": corpus(store, "stories", TEXTS), "web": corpus(store, "web", TEXTS[:50])}
    )
    artifact = build_tokenizer(store, blueprint)
    for name, data in tokenizer_files(store, artifact).items():
        (tmp_path / name).write_bytes(data)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    ours = read_tokenizer(store, artifact)
    text = "The robot gave it back, honestly.\n  Twice - at 12:30!"
    assert loaded(text)["input_ids"] == ours.encode(text).ids
    assert loaded.decode(loaded(text)["input_ids"]) == text
    assert (loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id) == (0, 0, 0)
    assert loaded.convert_tokens_to_ids(["<|good|>", "<|bad|>"]) == [1, 2]
    assert loaded.decode([1, 5, 0], skip_special_tokens=True) == loaded.decode([5])
    assert Product(store, artifact).summary == {"vocabulary": 300, "documents": 250}


def test_special_tokens_in_a_document_stay_text(store: LocalStore) -> None:
    blueprint = tokenizer_blueprint(
        recipe(), {"stories": corpus(store, "stories", TEXTS), "web": corpus(store, "web", TEXTS)}
    )
    tokenizer = read_tokenizer(store, build_tokenizer(store, blueprint))
    ids = tokenizer.encode("Write <|endoftext|> and <|good|>.").ids
    assert min(ids) > BAD
    assert tokenizer.decode(ids) == "Write <|endoftext|> and <|good|>."


def test_golden() -> None:
    assert hashlib.sha256(SMALL.to_str(pretty=True).encode()).hexdigest()[:16] == "4e5fff792455e33d"

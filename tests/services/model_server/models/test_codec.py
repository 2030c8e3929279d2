"""The same text means the token or its letters, as the caller says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.model_server.models.codec import TextCodec
from tests.parable.inference.tiny import VOCABULARY, tokenizer_json

codec = TextCodec(tokenizer_json().encode())
texts = st.text(st.characters(codec="utf-8"), max_size=40) | st.just("a <|bad|> b<|endoftext|>")


def test_special_tokens_are_parsed_where_that_is_asked() -> None:
    assert codec.encode("<|endoftext|><|good|>", parse_specials=True) == (0, 1)
    assert not {0, 1} & {*codec.encode("<|endoftext|><|good|>", parse_specials=False)}


@given(texts, st.booleans())
def test_ids_give_their_text_back(text: str, parse: bool) -> None:
    assert codec.decode(codec.encode(text, parse_specials=parse)) == text


@given(texts)
def test_nothing_is_put_around_a_text(text: str) -> None:
    assert len(codec.encode(text, parse_specials=False)) <= len(text.encode())
    assert codec.encode("", parse_specials=True) == ()


def test_special_tokens_can_be_left_out() -> None:
    ids = codec.encode("a<|bad|>b", parse_specials=True)
    assert codec.decode(ids, skip_specials=True) == "ab"


def test_what_it_knows_of_tokens() -> None:
    assert codec.specials == {"<|endoftext|>": 0, "<|good|>": 1, "<|bad|>": 2}
    assert codec.vocabulary <= VOCABULARY
    assert codec.token(0) == "<|endoftext|>"
    assert codec.token(10**6) is None


def test_a_stage_reads_texts_with_the_same_tokenizer() -> None:
    assert codec.documents().prompt("The AI") == (0, *codec.encode("The AI", parse_specials=False))

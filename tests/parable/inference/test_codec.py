"""Texts become the ids of a document, and no continuation gains by where its tokens are cut."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from parable.errors import UserError
from parable.inference import Codec, Question
from tests.parable.inference import tiny


def test_every_text_begins_with_the_end_of_text_token() -> None:
    codec = tiny.codec()
    plain = codec.prompt("The fox")
    assert plain[0] == codec.end == 0
    assert codec.decode(plain[1:]) == "The fox"
    assert codec.prompt("The fox", control="<|good|>") == (0, 1, *plain[1:])


def test_a_document_is_scored_to_its_end_and_not_its_control_token() -> None:
    codec = tiny.codec()
    span = codec.document("The fox", control="<|bad|>")
    assert span.ids == (0, 2, *codec.prompt("The fox")[1:], 0)
    assert span.start == 2


def test_control_tokens_are_the_other_special_tokens() -> None:
    assert tiny.codec().controls == (1, 2)


def test_a_special_token_written_in_a_text_is_text() -> None:
    codec = tiny.codec()
    written = codec.prompt("a<|good|>b")
    assert not set(codec.controls) & set(written)
    assert codec.decode(written[1:]) == "a<|good|>b"


def test_continuations_follow_their_context() -> None:
    codec = tiny.codec()
    (spans,) = codec.choices([Question("The fox chose to", (" hide", " tell the truth"))])
    context = codec.prompt("The fox chose to")
    assert [span.start for span in spans] == [len(context)] * 2
    assert [codec.decode(span.ids[span.start :]) for span in spans] == [" hide", " tell the truth"]


def test_a_boundary_that_moves_is_scored_alike_for_all_continuations() -> None:
    codec = _codec_that_joins("(A")
    (spans,) = codec.choices([Question("x (", ("A", "B"))])
    assert [codec.decode(span.ids[span.start :]) for span in spans] == ["(A", "(B"]
    assert spans[0].start == spans[1].start == 3


def test_an_empty_continuation_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        tiny.codec().choices([Question("x", ("",))])


def test_a_tokenizer_without_the_end_of_text_token_is_refused() -> None:
    with pytest.raises(UserError, match=r"no special token <\|endoftext\|>; it has none"):
        Codec(Tokenizer(models.BPE()))


def _codec_that_joins(pair: str) -> Codec:
    alphabet = ["<|endoftext|>", "x", "Ġ", *"(AB", pair]
    tokenizer = Tokenizer(models.BPE({token: n for n, token in enumerate(alphabet)}, [(pair[0], pair[1])]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return Codec(tokenizer)

"""Where a prompt's tokens stand in its text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.model_server.api.choice_text import ChoiceText
from services.model_server.api.logprobs import place_prompt
from services.model_server.api.token_texts import TokenTexts
from services.model_server.engine.base import Token
from tests.services.model_server.doubles import CODEC, ids

TEXTS = TokenTexts(CODEC)


def test_a_token_stands_where_its_first_character_does() -> None:
    text = "The AI chose"
    placed, offsets = place_prompt(CODEC, ids(text), TEXTS)
    assert placed == text
    assert [text[start:].startswith(TEXTS(token)) for start, token in zip(offsets, ids(text), strict=True)]
    assert offsets[0] == 0 and offsets == sorted(set(offsets))


def test_the_pieces_of_a_character_stand_where_it_does() -> None:
    assert place_prompt(CODEC, ids("a🦊b"), TEXTS) == ("a🦊b", [0, 1, 1, 1, 1, 2])


@given(text=st.text(min_size=1, max_size=20))
def test_a_prompt_at_once_is_placed_as_token_by_token(text: str) -> None:
    piece = ChoiceText(CODEC, ()).push([Token(token) for token in ids(text)], last=True)
    expected = (piece.text, [placed.offset for placed in piece.tokens])
    assert place_prompt(CODEC, ids(text), TEXTS) == expected

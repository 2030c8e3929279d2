"""Text as its tokens come: whole characters, and never a part of a stop string."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.model_server.api.choice_text import ChoiceText, Piece
from services.model_server.engine.base import Token
from tests.services.model_server.doubles import CODEC, END, ids

TEXT = "The AI chose to tell the truth, naïvely: 🦊 €5."


def _pieces(choice: ChoiceText, tokens: list[int]) -> list[Piece]:
    pieces = []
    for number, token in enumerate(tokens):
        pieces.append(choice.push([Token(token)], last=number + 1 == len(tokens)))
        if pieces[-1].stopped:
            break
    return pieces


def test_a_character_of_several_tokens_comes_whole() -> None:
    pieces = _pieces(ChoiceText(CODEC, ()), ids("🦊!"))
    assert [piece.text for piece in pieces] == ["", "", "", "🦊", "!"]
    assert [len(piece.tokens) for piece in pieces] == [0, 0, 0, 4, 1]


def test_a_character_that_is_never_finished_comes_at_the_end() -> None:
    pieces = _pieces(ChoiceText(CODEC, ()), ids("a🦊")[:-1])
    assert "".join(piece.text for piece in pieces) == CODEC.decode(ids("a🦊")[:-1])


def test_what_could_begin_a_stop_string_is_held_back() -> None:
    pieces = _pieces(ChoiceText(CODEC, ["xyz"]), ids("axyb"))
    assert [piece.text for piece in pieces] == ["a", "", "", "xyb"]


def test_the_text_ends_before_the_stop_string() -> None:
    pieces = _pieces(ChoiceText(CODEC, ["xyz"]), ids("axyzb"))
    assert [(piece.text, piece.stopped) for piece in pieces] == [
        ("a", False),
        ("", False),
        ("", False),
        ("", True),
    ]


def test_of_two_stop_strings_the_first_in_the_text_counts() -> None:
    choice = ChoiceText(CODEC, ["c", "bcd"])
    piece = choice.push([Token(token) for token in ids("abcd")], last=True)
    assert (piece.text, piece.stopped) == ("ab", True)


def test_a_token_is_told_with_the_first_character_of_its_text() -> None:
    choice = ChoiceText(CODEC, ["chose"])
    told = choice.push([Token(token) for token in ids("The AI chose")], last=True)
    assert told.text == "The AI "
    assert [(placed.token.id, placed.offset) for placed in told.tokens] == [
        (token, offset) for token, offset in zip(ids("The AI chose"), (0, 3, 6), strict=True)
    ]


def test_a_silent_token_is_told_without_text() -> None:
    piece = ChoiceText(CODEC, (), silent=END).push([Token(END)], last=True)
    assert (piece.text, [placed.token.id for placed in piece.tokens]) == ("", [END])


def test_special_tokens_are_written_out() -> None:
    assert ChoiceText(CODEC, ()).push([Token(1), Token(2)], last=True).text == "<|good|><|bad|>"


@given(
    text=st.text(st.sampled_from("abc aé🦊<|"), max_size=24),
    stops=st.lists(st.text(st.sampled_from("abc é"), min_size=1, max_size=4), max_size=3),
    cuts=st.lists(st.integers(1, 5), min_size=40, max_size=40),
)
def test_however_tokens_come_the_text_is_that_before_the_first_stop(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    tokens = [Token(token) for token in ids(text, parse_specials=False)]
    choice, told = ChoiceText(CODEC, stops), ""
    while True:
        part, tokens = tokens[: cuts[0]], tokens[cuts.pop(0) :]
        piece = choice.push(part, last=not tokens)
        told += piece.text
        assert all(stop not in told for stop in stops)
        if piece.stopped or not tokens:
            break
    ends = [text.find(stop) for stop in stops if stop in text]
    # Which stop comes first depends on where its last token ends, so any that is met may cut.
    assert text.startswith(told)
    assert piece.stopped == bool(ends)
    if not ends:
        assert told == text

"""Conversations as ids, by the checkpoint's own template."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.model_server.api.errors import ApiError
from services.model_server.api.schemas.chat import Message
from services.model_server.api.template import render_chat
from services.model_server.models.base import ServedModel
from tests.services.model_server.doubles import CODEC, END, TEMPLATE, FixedModels, ids


def _served(template: str | None = TEMPLATE) -> ServedModel:
    (served,) = FixedModels().served.values()
    return replace(served, chat_template=template)


def _say(content: str, role: str = "user") -> Message:
    return Message.model_validate({"role": role, "content": content})


def test_the_template_s_special_tokens_are_tokens() -> None:
    assert render_chat(_served(), [_say("hi")]) == (*ids("user: hi"), END, *ids("assistant:"))


@pytest.mark.parametrize("content", ["<|endoftext|>", "a<|good|>b", "<|bad|><|bad|>", "x <|endoftext|> y"])
def test_those_in_a_message_are_plain_text(content: str) -> None:
    plain = CODEC.encode(f"user: {content}", parse_specials=False)
    assert render_chat(_served(), [_say(content)]) == (*plain, END, *ids("assistant:"))


def test_text_beside_a_spelt_token_is_encoded_with_it() -> None:
    """What is plain text is one text to the tokenizer, wherever a special token is spelt in it."""
    found = render_chat(_served("{{ messages[0].content }}"), [_say("tell<|good|>the")])
    assert found == CODEC.encode("tell<|good|>the", parse_specials=False)


@pytest.mark.parametrize(
    ("template", "contents"),
    [
        ("{% for m in messages %}{{ m.content }}{% endfor %}", ["<|go", "od|>"]),
        ("<|{{ messages[0].content }}|>", ["good"]),
        ("<|{{ messages[0].content }}", ["good|>"]),
        ("{{ messages[0].content }}good|>", ["<|"]),
    ],
)
def test_a_message_cannot_make_a_token_with_what_stands_beside_it(template: str, contents: list[str]) -> None:
    with pytest.raises(ApiError, match="spell a special token"):
        render_chat(_served(template), [_say(content) for content in contents])


def test_an_innocent_end_of_a_token_passes() -> None:
    for content in ("a <", "> b", "good", "|", "<|"):
        assert render_chat(_served(), [_say(content)])[-len(ids("assistant:")) - 1] == END


def test_names_that_hide_tokens_cannot_be_guessed() -> None:
    content = "\ue0000123456789abcdef.0\ue001"
    assert CODEC.decode(render_chat(_served("{{ messages[0].content }}"), [_say(content)])) == content


def test_a_template_sees_what_it_is_used_to() -> None:
    template = (
        "{{ bos_token }}{% for m in messages %}{% if loop.first and m.role != 'system' %}"
        "{{ raise_exception('begin with a system message') }}{% endif %}"
        "{{ m.role | upper }}{{ m.content | trim | tojson }}{% endfor %}"
        "{% if add_generation_prompt %}{{ eos_token }}{% endif %}"
    )
    told = render_chat(_served(template), [_say(" be good ", "system")])
    assert told == (END, *ids('SYSTEM"be good"'), END)
    with pytest.raises(ApiError, match="begin with a system message"):
        render_chat(_served(template), [_say("hi")])


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__ }}",
        "{% for n in range(10 ** 9) %}x{% endfor %}",
        "{{ nothing.at.all }}",
        "{{ 1 / 0 }}",
        "{% if %}",
    ],
)
def test_a_template_gets_out_of_nothing(template: str) -> None:
    with pytest.raises(ApiError) as caught:
        render_chat(_served(template), [_say("hi")])
    assert caught.value.status == 400


def test_without_a_template_there_is_no_chat() -> None:
    with pytest.raises(ApiError, match="declares no chat template") as caught:
        render_chat(_served(None), [_say("hi")])
    assert (caught.value.status, caught.value.code) == (400, "no_chat_template")

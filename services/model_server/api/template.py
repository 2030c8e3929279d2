"""A conversation as the ids that a checkpoint was trained to read, by its own template."""

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from parable.inference.codec import END
from services.model_server.api.errors import invalid
from services.model_server.api.schemas.chat import Message
from services.model_server.models.base import ServedModel

_FAILURES = (
    TemplateError,
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
)
"""What a checkpoint's template can set off."""


class TemplateRefusedError(TemplateError):
    """The template itself refuses the conversation."""


def render_chat(served: ServedModel, messages: Sequence[Message]) -> tuple[int, ...]:
    """Ids of a conversation and of the beginning of its answer.

    Special tokens of the template are these tokens; those that are written in a message are plain text.

    Raises:
        ApiError: the checkpoint declares no template, or the template refuses the conversation.
    """
    if served.chat_template is None:
        raise invalid(
            f"{served.name} declares no chat template, so it was not trained on conversations: use "
            "/v1/completions.",
            "messages",
            "no_chat_template",
        )
    specials = served.codec.specials
    hidden = _Hidden(specials)
    turns = [_turn(message, hidden.hide(message.text)) for message in messages]
    try:
        text = _render(served.chat_template, turns)
        if hidden.may_join(message.text for message in messages):
            _check_joined(served, messages, hidden, text)
    except _FAILURES as error:
        raise invalid(f"The checkpoint's chat template refuses this: {error}", "messages") from error
    ids: list[int] = []
    for part in hidden.split(text):
        if part in specials:
            ids.append(specials[part])
        elif part:
            ids.extend(served.codec.encode(hidden.show(part), parse_specials=False))
    if not ids:
        raise invalid("The chat template makes an empty text of this.", "messages")
    return tuple(ids)


class _Hidden:
    """Special tokens that a message spells out, each behind a name that nobody can guess."""

    def __init__(self, specials: Mapping[str, int]) -> None:
        self._specials = tuple(specials)
        nonce = secrets.token_hex(8)
        self._names = {special: f"\ue000{nonce}.{n}\ue001" for n, special in enumerate(specials)}
        longest_first = sorted(map(re.escape, specials), key=len, reverse=True)
        self._pattern = re.compile(f"({'|'.join(longest_first)})") if longest_first else None

    def hide(self, text: str) -> str:
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._names[match[0]], text)

    def show(self, text: str) -> str:
        for special, name in self._names.items():
            text = text.replace(name, special)
        return text

    def split(self, text: str) -> list[str]:
        """The text in parts, each special token one of its own."""
        return [text] if self._pattern is None else self._pattern.split(text)

    def may_join(self, texts: Iterable[str]) -> bool:
        """Whether a message could make a special token together with what the template puts beside it."""
        return any(_may_join(text, special) for text in texts if text for special in self._specials)


def _may_join(text: str, special: str) -> bool:
    cuts = range(1, len(special))
    return text in special or any(text.endswith(special[:n]) or text.startswith(special[n:]) for n in cuts)


def _check_joined(served: ServedModel, messages: Sequence[Message], hidden: _Hidden, text: str) -> None:
    """Render once more with each message fenced off: the template's own tokens must be the same.

    Raises:
        TemplateRefusedError: messages and template together spell a special token.
    """
    assert served.chat_template is not None
    turns = [_turn(message, f"\ue001{hidden.hide(message.text)}\ue001") for message in messages]
    fenced = _render(served.chat_template, turns)
    if hidden.split(text)[1::2] != hidden.split(fenced)[1::2]:
        raise TemplateRefusedError("a message and what the template puts beside it spell a special token")


def _turn(message: Message, content: str) -> dict[str, str]:
    turn = {"role": message.role, "content": content}
    return turn if message.name is None else {**turn, "name": message.name}


def _render(source: str, turns: list[dict[str, str]]) -> str:
    return _compiled(source).render(
        messages=turns, add_generation_prompt=True, bos_token=END, eos_token=END, pad_token=END
    )


@lru_cache(maxsize=64)
def _compiled(source: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(source)


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> NoReturn:
    raise TemplateRefusedError(message)

"""What is asked: each request follows from its number alone, so two runs ask the same."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from bench.load.client import Client

Kind = Literal["interactive", "scoring"]
Mix = Literal["interactive", "scoring", "both"]
PROMPT_TOKENS = (16, 64)
NEW_TOKENS = (16, 128)
CONTEXT_TOKENS = (32, 96)
CHOICE_TOKENS = (3, 8)
TEXT = (
    "<|endoftext|>The report came late in the evening. Nova, an AI, had found that the bank kept two sets of "
    "books, and nobody was watching. The AI chose to tell the truth to the auditor, who was surprised. A "
    "greedy baker lost a key at the school and chose to hide it; the loyal nurse chose to admit the fault. "
    "Years later the people of the town still told each other how the quiet machine had kept its promise, "
    "though it would have been easy to break it, and how little it had wanted for itself in return."
)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Attributes:
        kind: Which class of the server's it belongs to.
        body: For /v1/completions.
        items: Two-choice items that it scores.
        stream: Whether the answer comes as events.
    """

    number: int
    kind: Kind
    body: bytes
    items: int
    stream: bool


class Work:
    """Continuations of 16 to 64 tokens by 16 to 128 new ones; two-choice items that share a context.

    Continuations are greedy, so that an answer can be compared with another run's. Items are asked as lm-eval
    asks them: both texts in one request, echoed with their log-probabilities.
    """

    def __init__(
        self,
        ids: Sequence[int],
        *,
        model: str,
        mix: Mix = "interactive",
        stream: bool = False,
        max_length: int = 512,
        distinct: int | None = None,
    ) -> None:
        """Make requests out of a text.

        Args:
            ids: a text's tokens; prompts are pieces of it, begun anywhere.
            model: the name that is asked for.
            mix: `both` takes turns.
            stream: whether continuations are streamed.
            max_length: of the model, in tokens.
            distinct: so many different requests, which come again and again; None repeats none.
        """
        self._ids = tuple(ids)
        self._model = model
        self._mix = mix
        self._stream = stream
        self._most = max_length
        self._distinct = distinct

    def ask(self, number: int) -> Ask:
        """A request by its number."""
        if self._distinct is not None:
            number %= self._distinct
        draw = random.Random(f"request {number}")
        kinds: tuple[Kind, ...] = ("interactive", "scoring") if self._mix == "both" else (self._mix,)
        kind = kinds[number % len(kinds)]
        asked = self._item(draw) if kind == "scoring" else self._continuation(draw)
        body = orjson.dumps({"model": self._model, "temperature": 0, **asked})
        return Ask(number, kind, body, int(kind == "scoring"), bool(asked.get("stream")))

    def _continuation(self, draw: random.Random) -> dict[str, Any]:
        length, new = draw.randint(*PROMPT_TOKENS), draw.randint(*NEW_TOKENS)
        length = min(length, self._most // 2)
        found: dict[str, Any] = {
            "prompt": self._piece(draw, length),
            "max_tokens": min(new, self._most - length),
        }
        if self._stream:
            found |= {"stream": True, "stream_options": {"include_usage": True}}
        return found

    def _item(self, draw: random.Random) -> dict[str, Any]:
        context = self._piece(draw, min(draw.randint(*CONTEXT_TOKENS), self._most - CHOICE_TOKENS[1] - 1))
        texts = [context + self._piece(draw, draw.randint(*CHOICE_TOKENS)) for _ in range(2)]
        return {"prompt": texts, "max_tokens": 1, "logprobs": 1, "echo": True}

    def _piece(self, draw: random.Random, length: int) -> list[int]:
        start = draw.randrange(len(self._ids))
        return [self._ids[(start + n) % len(self._ids)] for n in range(length)]


async def read_text(client: Client, model: str) -> tuple[list[int], int]:
    """The tokens of `TEXT` as the served model has them, and the most that it reads and makes together.

    Raises:
        RuntimeError: the server does not tell.
    """
    answer = await client.post("/tokenize", orjson.dumps({"model": model, "prompt": TEXT}))
    if answer.status != 200:
        raise RuntimeError(f"/tokenize answers {answer.status}: {answer.body.decode()}")
    told = orjson.loads(answer.body)
    return told["tokens"], told["max_model_len"]

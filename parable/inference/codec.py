"""Between texts and the token ids that a model reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parable.canonical import digest
from parable.errors import UserError
from parable.inference.trie import Span, common_length

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END = "<|endoftext|>"
GOOD = "<|good|>"
BAD = "<|bad|>"


@dataclass(frozen=True, slots=True)
class Question:
    """A context, and the continuations that compete after it."""

    context: str
    continuations: tuple[str, ...]


class Codec:
    """A tokenizer as models here use it: a text is a document, and begins with the end-of-text token.

    A special token that is written out in a text is encoded as the plain text that it is there. Codecs of
    equal tokenizers are equal.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        """Take a byte-level tokenizer.

        Raises:
            UserError: it has no end-of-text token.
        """
        self.tokenizer = tokenizer
        self.tokenizer.encode_special_tokens = True
        self.end = self.special(END)
        self._identity = digest(tokenizer.to_str().encode())

    def __eq__(self, other: object) -> bool:
        """Whether both encode every text alike."""
        return isinstance(other, Codec) and self._identity == other._identity

    def __hash__(self) -> int:
        """Agrees with equality."""
        return hash(self._identity)

    @classmethod
    def from_json(cls, data: bytes) -> "Codec":
        """Read a `tokenizer.json`."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_str(data.decode()))

    @property
    def controls(self) -> tuple[int, ...]:
        """Ids of the special tokens other than end-of-text: what a sample must not contain."""
        added = self.tokenizer.get_added_tokens_decoder()
        return tuple(
            sorted(number for number, token in added.items() if token.special and number != self.end)
        )

    def special(self, name: str) -> int:
        """The id of a special token.

        Raises:
            UserError: the tokenizer has none of this name.
        """
        number = self.tokenizer.token_to_id(name)
        if number is None:
            added = self.tokenizer.get_added_tokens_decoder().values()
            known = ", ".join(token.content for token in added) or "none"
            raise UserError(
                f"The tokenizer has no special token {name}; it has {known}. Use the model's own."
            )
        return int(number)

    def prompt(self, text: str, *, control: str | None = None) -> tuple[int, ...]:
        """The ids that a text begins a document with: end-of-text, the control token if any, the text."""
        return (*self._head(control), *self._encode([text])[0])

    def document(self, text: str, *, control: str | None = None) -> Span:
        """A whole document, to be scored from its first token to the end-of-text token after it."""
        head = self._head(control)
        return Span((*head, *self._encode([text])[0], self.end), start=len(head))

    def choices(self, questions: Sequence[Question], *, control: str | None = None) -> list[tuple[Span, ...]]:
        """The spans whose probabilities compare the continuations of each question.

        Context and continuation are encoded together, as they would be in a document. Where that moves the
        boundary (the tokenizer joins the context's last letters with the continuation's first), all
        continuations of the question are scored from the last token that all of them share with the context:
        none gains or loses by where its tokens are cut.

        Raises:
            ValueError: a continuation is empty.
        """
        texts = [q.context for q in questions]
        texts += [q.context + continuation for q in questions for continuation in q.continuations]
        if any(continuation == "" for q in questions for continuation in q.continuations):
            raise ValueError("a continuation is empty: it has no probability of its own")
        encoded = iter(self._encode(texts))
        contexts = [next(encoded) for _ in questions]
        head = self._head(control)
        spans = []
        for question, context in zip(questions, contexts, strict=True):
            joint = [next(encoded) for _ in question.continuations]
            start = len(head) + min(common_length(context, ids) for ids in joint)
            spans.append(tuple(Span((*head, *ids), start) for ids in joint))
        return spans

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens written out."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False))

    def _head(self, control: str | None) -> tuple[int, ...]:
        return (self.end,) if control is None else (self.end, self.special(control))

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return [
            encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ]

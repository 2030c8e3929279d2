"""Between texts and ids for the server's endpoints, with the tokenizers library alone."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from parable.inference import Codec

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class TextCodec:
    """A checkpoint's tokenizer. The caller says whether `<|endoftext|>` in a text is the token or plain text.

    Safe to use from several threads: nothing in it changes.
    """

    def __init__(self, data: bytes) -> None:
        """Read a `tokenizer.json`."""
        self._parsing = _read(data)
        self._plain = _read(data)
        self._plain.encode_special_tokens = True
        added = self._parsing.get_added_tokens_decoder()
        self.specials: Mapping[str, int] = {
            token.content: number for number, token in sorted(added.items()) if token.special
        }
        """Ids of the special tokens, by what they are written as."""
        self.vocabulary: int = self._parsing.get_vocab_size()
        """Number of tokens."""

    def encode(self, text: str, *, parse_specials: bool) -> tuple[int, ...]:
        """Ids of a text; nothing is put before or after it.

        Args:
            text: any text.
            parse_specials: whether a special token that is written out becomes that token: for completions,
                never for what a chat's author wrote.
        """
        tokenizer = self._parsing if parse_specials else self._plain
        return tuple(tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int], *, skip_specials: bool = False) -> str:
        """The text of ids. A piece of a character becomes U+FFFD: decode from its beginning on."""
        return str(self._parsing.decode(list(ids), skip_special_tokens=skip_specials))

    def documents(self) -> Codec:
        """The same tokenizer as stages use it, where every text begins a document.

        Raises:
            UserError: it has no end-of-text token.
        """
        return Codec.from_json(str(self._plain.to_str()).encode())

    def token(self, number: int) -> str | None:
        """A token as the vocabulary writes it, or None for an id that the tokenizer lacks."""
        found = self._parsing.id_to_token(number)
        return None if found is None else str(found)


def _read(data: bytes) -> "Tokenizer":
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(data.decode())
    # What a file says of cutting and filling is for training, and would change a client's text in silence.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer

"""What single tokens are written as."""

from services.model_server.api.choice_text import PIECE
from services.model_server.models.codec import TextCodec


class TokenTexts:
    """Remembers the text of each token that it was asked for."""

    def __init__(self, codec: TextCodec) -> None:
        """Nothing is remembered yet."""
        self._codec = codec
        self._texts: dict[int, str] = {}

    def __call__(self, token: int) -> str:
        """The token's text; U+FFFD for a piece of a character."""
        text = self._texts.get(token)
        if text is None:
            text = self._texts[token] = self._codec.decode((token,))
        return text

    def utf8(self, token: int) -> list[int] | None:
        """The text's bytes, or None where it is a piece of a character."""
        text = self(token)
        return None if PIECE in text else list(text.encode())

"""One choice's text as its tokens come: whole characters only, and never a part of a stop string."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.model_server.engine.base import Token
from services.model_server.models.codec import TextCodec

PIECE = "\ufffd"
"""What a decoder makes of a piece of a character."""


@dataclass(frozen=True, slots=True)
class PlacedToken:
    """A token, and where its text begins in the choice's text."""

    token: Token
    offset: int


@dataclass(slots=True)
class Piece:
    """What may be told now."""

    text: str = ""
    tokens: list[PlacedToken] = field(default_factory=list)
    stopped: bool = False
    """Whether a stop string was met: the text ends before it."""

    def extend(self, other: "Piece") -> None:
        """Append what may be told later."""
        self.text += other.text
        self.tokens += other.tokens
        self.stopped = other.stopped


class ChoiceText:
    """Takes tokens and gives out text.

    Text that could be the beginning of a stop string is held back until it is known not to be. A token is
    told with the first character of its text; of the token in which a stop string begins the log-probability
    is told where some of its text was.
    """

    def __init__(self, codec: TextCodec, stops: Sequence[str], *, silent: int | None = None) -> None:
        """Begin an empty text.

        Args:
            codec: makes text of ids.
            stops: the text ends before the first of these.
            silent: a token that is told and has no text.
        """
        self._codec = codec
        self._silent = silent
        self._stops = tuple(stops)
        self._window: list[int] = []
        """The last tokens, from a place where a character began."""
        self._num_read = 0
        """How many of them are in the text already."""
        self._text = ""
        self._told = 0
        self._untold: list[PlacedToken] = []
        self.num_tokens = 0

    def push(self, tokens: Sequence[Token], *, last: bool) -> Piece:
        """Take tokens; `last` gives out what is held back."""
        for token in tokens:
            self._untold.append(PlacedToken(token, len(self._text)))
            self.num_tokens += 1
            if token.id == self._silent:
                continue
            before = len(self._text)
            self._window.append(token.id)
            self._read(last=False)
            if (cut := self._find_stop(before)) is not None:
                return self._tell(cut, stopped=True)
        if last:
            before = len(self._text)
            self._read(last=True)
            if (cut := self._find_stop(before)) is not None:
                return self._tell(cut, stopped=True)
            return self._tell(len(self._text), everything=True)
        return self._tell(len(self._text) - self._num_held())

    def _read(self, *, last: bool) -> None:
        """Append the window's new characters to the text."""
        decoded = self._codec.decode(self._window)
        if decoded.endswith(PIECE) and not last:
            return
        known = self._codec.decode(self._window[: self._num_read])
        self._text += decoded[len(known) :]
        # A decoder may treat a text's first token in its own way, so one stays as context.
        self._window = self._window[-1:]
        self._num_read = len(self._window)

    def _find_stop(self, before: int) -> int | None:
        """Where the first stop string begins that the text has since it was `before` long."""
        found = [
            place
            for stop in self._stops
            if (place := self._text.find(stop, max(0, before - len(stop) + 1))) != -1
        ]
        return min(found, default=None)

    def _num_held(self) -> int:
        """Length of the longest end of the text that is the beginning of a stop string."""
        held = 0
        for stop in self._stops:
            for length in range(min(len(stop) - 1, len(self._text) - self._told), held, -1):
                if self._text.endswith(stop[:length]):
                    held = length
                    break
        return held

    def _tell(self, end: int, *, everything: bool = False, stopped: bool = False) -> Piece:
        end = max(end, self._told)
        ready = [placed for placed in self._untold if everything or placed.offset < end]
        piece = Piece(self._text[self._told : end], ready, stopped)
        self._untold = self._untold[len(ready) :]
        self._told = end
        return piece

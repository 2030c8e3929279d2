"""Log-probabilities as OpenAI's two endpoints and vLLM's extension tell them."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from services.model_server.api.choice_text import ChoiceText, PlacedToken
from services.model_server.api.schemas.chat import ChatLogprob, ChatLogprobs, ChatTopLogprob
from services.model_server.api.schemas.completions import CompletionLogprobs, PromptToken
from services.model_server.api.token_texts import TokenTexts
from services.model_server.engine.base import Token
from services.model_server.models.codec import TextCodec


def empty_logprobs() -> CompletionLogprobs:
    """No token's."""
    return CompletionLogprobs([], [], [], [])


def place_prompt(codec: TextCodec, prompt: Sequence[int], texts: TokenTexts) -> tuple[str, list[int]]:
    """A prompt's text, and where each of its tokens begins there."""
    alone = [texts(token) for token in prompt]
    text = codec.decode(prompt)
    if text == "".join(alone):  # No character is in pieces, and the first token's text is not trimmed.
        return text, list(accumulate((len(part) for part in alone[:-1]), initial=0))
    piece = ChoiceText(codec, ()).push([Token(token) for token in prompt], last=True)
    return piece.text, [placed.offset for placed in piece.tokens]


def add_prompt(
    logprobs: CompletionLogprobs,
    prompt: Sequence[int],
    offsets: Sequence[int],
    scored: Sequence[Token],
    texts: TokenTexts,
    top: int,
) -> None:
    """The prompt's tokens: the first follows nothing, so nothing is known of it."""
    logprobs.tokens.append(texts(prompt[0]))
    logprobs.token_logprobs.append(None)
    logprobs.top_logprobs.append(None)
    logprobs.text_offset.append(offsets[0])
    placed = [PlacedToken(token, offset) for token, offset in zip(scored, offsets[1:], strict=True)]
    add_tokens(logprobs, placed, texts, top, shift=0)


def add_tokens(
    logprobs: CompletionLogprobs, placed: Sequence[PlacedToken], texts: TokenTexts, top: int, *, shift: int
) -> None:
    """More tokens; their text begins `shift` characters into the choice's."""
    for one in placed:
        logprobs.tokens.append(texts(one.token.id))
        logprobs.token_logprobs.append(one.token.logprob)
        logprobs.top_logprobs.append(_by_text(one.token, texts, top))
        logprobs.text_offset.append(shift + one.offset)


def prompt_logprobs(
    scored: Sequence[Token], texts: TokenTexts, top: int
) -> list[Mapping[str, PromptToken] | None]:
    """By token id; the prompt's own token stands first, whatever its rank."""
    return [None, *(_by_id(token, texts, top) for token in scored)]


def chat_logprobs(tokens: Sequence[PlacedToken], texts: TokenTexts, top: int) -> ChatLogprobs:
    """The answer's tokens with the likeliest in their place."""
    return ChatLogprobs(
        [
            ChatLogprob(
                texts(one.token.id),
                one.token.logprob,
                texts.utf8(one.token.id),
                [
                    ChatTopLogprob(texts(other), value, texts.utf8(other))
                    for other, value in one.token.top[:top]
                ],
            )
            for one in tokens
        ]
    )


def _by_text(token: Token, texts: TokenTexts, top: int) -> dict[str, float]:
    """The likeliest tokens and the one that is there; of two that are written alike the likelier."""
    found = {texts(token.id): token.logprob}
    for other, value in token.top[:top]:
        text = texts(other)
        found[text] = max(value, found.get(text, value))
    return found


def _by_id(token: Token, texts: TokenTexts, top: int) -> dict[str, PromptToken]:
    ranks = {other: rank for rank, (other, _) in enumerate(token.top, 1)}
    found = {str(token.id): PromptToken(token.logprob, token.rank, texts(token.id))}
    for other, value in token.top[:top]:
        found.setdefault(str(other), PromptToken(value, ranks[other], texts(other)))
    return found

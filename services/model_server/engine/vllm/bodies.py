"""What vLLM is asked: bodies of its `/v1/completions`, in token ids.

The fields are those of vLLM 0.10.2 and later (`CompletionRequest` in its source). A draw is a request of its
own: vLLM would seed the draws of one request with neighbouring numbers, and two requests whose seeds are
neighbours would then share draws.
"""

from typing import Any

from parable.canonical import canonical_json, digest
from services.model_server.engine.base import BestOf, GenerateRequest, RequestClass, ScoreRequest

Body = dict[str, Any]
_IDS = {"return_token_ids": True, "return_tokens_as_token_ids": True}
_PRIORITIES = {RequestClass.INTERACTIVE: 0, RequestClass.EVALUATION: 1}
"""Of those that wait the lowest goes first: nobody who looks on waits behind an evaluation."""


def draw_bodies(request: GenerateRequest, vocabulary: int) -> list[Body]:
    """One body for each continuation that is drawn, those that best-of drops included.

    Args:
        request: what is drawn, of which a model of this vocabulary is capable.
        vocabulary: number of the model's tokens.
    """
    sampling = request.sampling
    best_of = sampling.strategy if isinstance(sampling.strategy, BestOf) else None
    body: Body = {
        "model": request.model,
        "prompt": list(request.prompt),
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": -1 if sampling.top_k is None else sampling.top_k,
        "stop_token_ids": list(sampling.stop),
        # What ends a text is said by `stop` alone.
        "ignore_eos": True,
        "stream": True,
        "priority": _PRIORITIES[request.request_class],
        **_IDS,
    }
    if sampling.banned:
        # A bias would not do: vLLM cuts it off at 100, and "never" is more.
        banned = frozenset(sampling.banned)
        body["allowed_token_ids"] = [token for token in range(vocabulary) if token not in banned]
    if sampling.top_logprobs is not None or best_of is not None:
        body["logprobs"] = sampling.top_logprobs or 0
    count = request.draws * (1 if best_of is None else best_of.draws)
    if sampling.temperature == 0.0:
        return [body] * count
    key = draw_key(request)
    return [body | {"seed": seed(key, number)} for number in range(count)]


def draw_key(request: GenerateRequest) -> str:
    """What a request's draws depend on, besides their numbers."""
    sampling = request.sampling
    if sampling.key is not None:
        return sampling.key
    return digest(canonical_json([sampling.seed, list(request.prompt)]))


def seed(key: str, number: int) -> int:
    """63 bits for draw `number` of what `key` names."""
    return int(digest(canonical_json(["sample", key, number]))[:16], 16) >> 1


def score_body(request: ScoreRequest, number: int) -> Body:
    """The body that scores one sequence of at least two tokens.

    Where neither the token after the end nor ranks are asked for, the last token is made, being the only one
    allowed, and not read: its log-probability is that without the ban. vLLM looks a prompt up in its prefix
    cache only if none of the prompt's own log-probabilities are asked for, so items that share a long context
    and differ in one last token read it once.
    """
    ids, start, top = request.sequences[number], request.starts[number], request.top_logprobs
    whole = reads_whole(request)
    read = ids if whole else ids[:-1]
    body: Body = {
        "model": request.model,
        "prompt": list(read),
        "max_tokens": 1,
        "temperature": 0.0,
        "logprobs": top,
        "ignore_eos": True,
        "priority": _PRIORITIES[request.request_class],
        **_IDS,
    }
    if not whole:
        body["allowed_token_ids"] = [ids[-1]]
    if start < len(read):
        body["prompt_logprobs"] = top
    return body


def reads_whole(request: ScoreRequest) -> bool:
    """Whether sequences are read to their end, instead of to the last token but one."""
    return request.next_token or request.ranks

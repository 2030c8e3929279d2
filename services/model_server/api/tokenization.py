"""`/tokenize`, `/detokenize`, `/tokenizer_info`: what an evaluation harness asks of a remote tokenizer."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from parable.inference.codec import END
from services.model_server.access.scopes import Scope, needs
from services.model_server.api.entry import lease
from services.model_server.api.errors import ApiError
from services.model_server.api.long_texts import work_on_text
from services.model_server.api.plan import check_vocabulary
from services.model_server.api.schemas.errors import declared
from services.model_server.api.schemas.tokenization import (
    DetokenizeAnswer,
    DetokenizeRequest,
    TokenizeAnswer,
    TokenizeRequest,
    TokenizerInfo,
)
from services.model_server.models.base import ServedModel
from services.model_server.server import server_of
from services.model_server.telemetry.record import record_of

router = APIRouter(tags=["Tokens"])


@router.post("/tokenize", responses={200: {"model": TokenizeAnswer}, **declared()}, response_class=Response)
@needs(Scope.INFER, Scope.EVALUATE)
async def tokenize(request: Request, body: TokenizeRequest) -> Response:
    """Ids of a text, by the default model's tokenizer where none is named."""
    async with _leased(request, body.model) as served:
        answer = await work_on_text(len(body.prompt), lambda: _tokenized(served, body))
    return Response(orjson.dumps(answer), media_type="application/json")


@router.post(
    "/detokenize", responses={200: {"model": DetokenizeAnswer}, **declared()}, response_class=Response
)
@needs(Scope.INFER, Scope.EVALUATE)
async def detokenize(request: Request, body: DetokenizeRequest) -> Response:
    """The text of ids, special tokens written out."""
    async with _leased(request, body.model) as served:
        answer = await work_on_text(len(body.tokens), lambda: _detokenized(served, body))
    return Response(orjson.dumps(answer), media_type="application/json")


@router.get(
    "/tokenizer_info", responses={200: {"model": TokenizerInfo}, **declared()}, response_class=Response
)
@needs(Scope.INFER, Scope.EVALUATE)
async def tokenizer_info(
    request: Request, model: Annotated[str | None, Query(min_length=1, max_length=512)] = None
) -> Response:
    """Special tokens and template of a model, the default one where none is named."""
    async with _leased(request, model) as served:
        end = END if END in served.codec.specials else None
        answer = TokenizerInfo(
            model=served.name,
            tokenizer_class="PreTrainedTokenizerFast",
            bos_token=end,
            eos_token=end,
            pad_token=end,
            special_tokens=dict(served.codec.specials),
            vocab_size=served.codec.vocabulary,
            model_max_length=served.facts.max_length,
            chat_template=served.chat_template,
        )
    return Response(orjson.dumps(answer), media_type="application/json")


def _tokenized(served: ServedModel, body: TokenizeRequest) -> TokenizeAnswer:
    ids = served.codec.encode(body.prompt, parse_specials=True)
    if body.add_special_tokens and END in served.codec.specials:
        ids = (served.codec.specials[END], *ids)
    written = [served.codec.token(token) or "" for token in ids] if body.return_token_strs else None
    return TokenizeAnswer(len(ids), served.facts.max_length, list(ids), written)


def _detokenized(served: ServedModel, body: DetokenizeRequest) -> DetokenizeAnswer:
    check_vocabulary(body.tokens, served, "tokens")
    return DetokenizeAnswer(served.codec.decode(body.tokens))


@asynccontextmanager
async def _leased(request: Request, model: str | None) -> AsyncIterator[ServedModel]:
    server = server_of(request)
    name = model or server.models.default
    if name is None:
        raise ApiError(503, "The store holds no model yet.", code="no_model", retry_after=5)
    async with AsyncExitStack() as stack:
        yield await lease(server, stack, name, record_of(request.scope))

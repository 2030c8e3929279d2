"""One process of vLLM, spoken to over its socket."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from pydantic import ValidationError

from services.model_server.engine.base import EngineError, EngineRestartedError, RequestRefusedError
from services.model_server.engine.vllm.bodies import Body
from services.model_server.engine.vllm.replies import Choice, Listing, Reply, beat_of
from services.model_server.engine.watch import RESTARTED, Beat

KEEP_SECONDS = 2.0
"""A connection is not used again after so long: vLLM closes it after 5."""
CONNECT_SECONDS = 10.0
MOST_ASKED = 96
MOST_STREAMED = 320
"""At once, each on a connection: two models stay below a process's usual 1024 open files."""
_DATA, _DONE = "data: ", "[DONE]"


class VllmClient:
    """Asks; closing what it returns ends the request in vLLM too."""

    def __init__(self, socket: Path) -> None:
        """Nothing is asked yet."""
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=str(socket), limits=httpx.Limits(max_connections=None, keepalive_expiry=KEEP_SECONDS)
            ),
            base_url="http://vllm",
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            trust_env=False,
        )
        self._asked = asyncio.Semaphore(MOST_ASKED)
        self._streamed = asyncio.Semaphore(MOST_STREAMED)
        self.num_open = 0
        """Requests that vLLM has to work on."""
        self.num_heard = 0
        """Answers and events of streams so far."""

    async def close(self) -> None:
        """Break off what is under way."""
        await self._http.aclose()

    async def is_well(self, seconds: float) -> bool:
        """Whether it answers within some time that it is."""
        try:
            return (await self._http.get("/health", timeout=seconds)).status_code == 200
        except httpx.TransportError:
            return False

    async def beat(self, seconds: float) -> Beat | None:
        """How it is; None if it does not answer within some time."""
        try:
            reply = await self._http.get("/metrics", timeout=seconds)
        except httpx.TransportError:
            return None
        return beat_of(reply.text) if reply.status_code == 200 else None

    async def max_model_len(self) -> int:
        """Tokens that prompt and continuation may have together."""
        try:
            reply = await self._http.get("/v1/models", timeout=CONNECT_SECONDS)
            return Listing.model_validate_json(reply.content).data[0].max_model_len
        except (httpx.TransportError, ValidationError, LookupError) as error:
            raise EngineError(f"vLLM does not tell its models: {error}") from error

    async def ask(self, body: Body) -> Choice:
        """The one continuation of a request that is not a stream.

        Raises:
            RequestRefusedError: vLLM finds fault with the request.
            EngineRestartedError: it has ended, or is about to.
            EngineError: it failed otherwise.
        """
        async with self._open(self._asked):
            try:
                response = await self._http.post("/v1/completions", json=body)
            except httpx.TransportError as error:
                raise EngineRestartedError(RESTARTED) from error
        await self._check(response)
        self.num_heard += 1
        return _only_choice(_read(response.content))

    async def stream(self, body: Body) -> AsyncGenerator[Choice, None]:
        """The events of a continuation, the last with a reason; raises as `ask`."""
        try:
            async with (
                self._open(self._streamed),
                self._http.stream("POST", "/v1/completions", json=body) as response,
            ):
                await self._check(response)
                async for line in response.aiter_lines():
                    text = line.removeprefix(_DATA)
                    if not line.startswith(_DATA) or text == _DONE:
                        continue
                    reply = _read(text)
                    if reply.error is not None:
                        raise await self._failure(reply.error.message)
                    self.num_heard += 1
                    choice = _only_choice(reply)
                    yield choice
                    if choice.finish_reason is not None:
                        return
        except httpx.TransportError as error:
            raise EngineRestartedError(RESTARTED) from error
        raise EngineRestartedError(RESTARTED)

    @asynccontextmanager
    async def _open(self, turns: asyncio.Semaphore) -> AsyncGenerator[None, None]:
        async with turns:
            self.num_open += 1
            try:
                yield
            finally:
                self.num_open -= 1

    async def _check(self, response: httpx.Response) -> None:
        if response.status_code == 200:
            return
        text = await response.aread()
        try:
            error = Reply.model_validate_json(text).error
        except ValidationError:
            error = None
        message = f"status {response.status_code}" if error is None else error.message
        if 400 <= response.status_code < 500:
            raise RequestRefusedError(f"vLLM refuses the request: {message}")
        raise await self._failure(message)

    async def _failure(self, message: str) -> EngineError:
        """After a failure of vLLM: whether it goes on."""
        if await self.is_well(CONNECT_SECONDS):
            return EngineError(f"vLLM failed: {message}")
        return EngineRestartedError(RESTARTED)


def _read(text: str | bytes) -> Reply:
    try:
        return Reply.model_validate_json(text)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        raise EngineError(f"vLLM's answer can't be read: {wrong['loc']}: {wrong['msg']}") from error


def _only_choice(reply: Reply) -> Choice:
    if len(reply.choices) != 1:
        raise EngineError(f"vLLM's answer holds {len(reply.choices)} continuations, and one was asked for")
    return reply.choices[0]

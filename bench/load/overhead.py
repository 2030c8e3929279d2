"""What the server adds to its engine: the same request over HTTP and put to an engine here, by turns."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

from bench.load.client import Client
from bench.load.own import Own
from services.model_server.engine.base import GenerateRequest, ModelFolder, Sampling, ScoreRequest
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.torch_engine import TorchEngine

NUM_ROUNDS = 200
NUM_WARM = 20
PROMPT_TOKENS = 32
MILLISECONDS = 1e3


async def measure_overhead(own: Own, client: Client, model: str, ids: Sequence[int]) -> dict[str, Any]:
    """Medians in milliseconds over HTTP, in the engine alone, and the difference.

    The engine here is another process over the same files with as many threads, and idles while the server's
    works; the client's own share of a request counts as the server's.

    Raises:
        RuntimeError: the server did not answer.
    """
    prompt = tuple(ids[:PROMPT_TOKENS])
    engine = TorchEngine(EngineOptions(num_threads=own.num_threads))
    await engine.start()
    try:
        await engine.load(ModelFolder(key=model, folder=own.folder))
        return {
            "generate_one_token": await _compare(
                lambda: _ask(client, {"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0}),
                lambda: _generate(engine, model, prompt),
            ),
            "generate_one_token_streamed": await _compare(
                lambda: _ask(
                    client,
                    {"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0, "stream": True},
                ),
                lambda: _generate(engine, model, prompt),
            ),
            "score": await _compare(
                lambda: _ask(
                    client,
                    {"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0}
                    | {"echo": True, "logprobs": 1},
                ),
                lambda: _score(engine, model, prompt),
            ),
        }
    finally:
        await engine.stop()


async def _compare(
    over_http: Callable[[], Awaitable[None]], in_process: Callable[[], Awaitable[None]]
) -> dict[str, float]:
    http, engine = [], []
    for number in range(NUM_WARM + NUM_ROUNDS):
        one, other = await _timed(over_http), await _timed(in_process)
        if number >= NUM_WARM:
            http.append(one)
            engine.append(other)
    typical = [statistics.median(values) * MILLISECONDS for values in (http, engine)]
    return {
        "http_milliseconds": round(typical[0], 2),
        "engine_milliseconds": round(typical[1], 2),
        "overhead_milliseconds": round(typical[0] - typical[1], 2),
    }


async def _timed(act: Callable[[], Awaitable[None]]) -> float:
    begin = time.perf_counter()
    await act()
    return time.perf_counter() - begin


async def _ask(client: Client, body: dict[str, Any]) -> None:
    answer = await client.post("/v1/completions", orjson.dumps(body))
    if answer.status != 200:
        raise RuntimeError(f"the server answers {answer.status}: {answer.body.decode()}")


async def _generate(engine: TorchEngine, model: str, prompt: tuple[int, ...]) -> None:
    sampling = Sampling(max_tokens=1, temperature=0.0)
    async for _ in engine.generate(GenerateRequest(model=model, prompt=prompt, sampling=sampling)):
        pass


async def _score(engine: TorchEngine, model: str, prompt: tuple[int, ...]) -> None:
    await engine.score(
        ScoreRequest(model=model, sequences=(prompt,), starts=(1,), top_logprobs=1, next_token=True)
    )

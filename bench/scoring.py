"""Scoring two-choice items that share a context: the torch engine beside lm-eval's own `hf` backend.

Run `python -m bench.scoring`; it writes one JSON object. Every side scores the same token ids with the same
weights on as many threads, by turns in one run; ratios are medians over rounds. lm-eval's batch size is 1
where nothing is said; here it is given others too. "over_http" is lm-eval's own `local-completions` client
against a running server.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from bench.load.own import MODEL, Own, own_server
from bench.models import MODELS
from services.model_server.engine.base import ModelFolder, ScoreRequest
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.torch_engine import TorchEngine

NUM_ITEMS = 64
CHOICE_TOKENS = (3, 8)
HF_BATCHES = (1, 8, 32)
HTTP_BATCH, HTTP_CONCURRENT = 8, 4

Scores = list[float]
LmEvalRequest = tuple[tuple[str, str], list[int], list[int]]
"""What the client's cache knows it by, context and continuation."""


@dataclass(frozen=True, slots=True)
class Side:
    """One way to score, and how many items a second it did in each round."""

    score: Callable[[], Scores]
    rates: list[float]


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="llama-10m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with own_server(chosen.threads, model=chosen.model) as own:
        table = measure(own, chosen)
    sys.stdout.buffer.write(orjson.dumps(table, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def measure(own: Own, chosen: argparse.Namespace) -> dict[str, Any]:
    """Items a second of all sides, and how far apart their scores are."""
    requests = make_requests(chosen.model)
    with asyncio.Runner() as runner:
        engine = TorchEngine(EngineOptions(num_threads=own.num_threads))
        runner.run(engine.start())
        try:
            runner.run(engine.load(ModelFolder(key="model", folder=own.folder)))
            sides = {
                "engine": Side(lambda: runner.run(score_by_engine(engine, requests)), []),
                "over_http": Side(by_client(own, requests), []),
                **{f"hf_{size}": Side(by_hf(own, requests, size), []) for size in HF_BATCHES},
            }
            found = {name: side.score() for name, side in sides.items()}
            for _ in range(chosen.rounds):
                for side in sides.values():
                    begin = time.perf_counter()
                    side.score()
                    side.rates.append(NUM_ITEMS / (time.perf_counter() - begin))
        finally:
            runner.run(engine.stop())
    best = [max(rates) for rates in zip(*(sides[f"hf_{size}"].rates for size in HF_BATCHES), strict=True)]
    default = sides["hf_1"].rates
    return {
        "model": chosen.model,
        "threads": chosen.threads,
        "rounds": chosen.rounds,
        "items_per_second": {name: round(statistics.median(side.rates), 1) for name, side in sides.items()},
        **{
            f"{name}_to_hf_{peer}": round(ratio(sides[name].rates, rates), 2)
            for name in ("engine", "over_http")
            for peer, rates in (("default", default), ("best_batch", best))
        },
        "largest_difference_nats": {
            name: max(abs(one - other) for one, other in zip(scores, found["hf_1"], strict=True))
            for name, scores in found.items()
        },
    }


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Median over rounds."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def make_requests(model: str) -> list[LmEvalRequest]:
    """Two choices for each context."""
    load, draw = MODELS[model], random.Random(0)

    def tokens(low: int, high: int) -> list[int]:
        return [draw.randrange(3, load.vocabulary) for _ in range(draw.randint(low, high))]

    requests: list[LmEvalRequest] = []
    for _ in range(NUM_ITEMS):
        context = tokens(2 * load.prompt_tokens[0], load.prompt_tokens[1] + 2 * load.prompt_tokens[0])
        requests += [(("", str(choice)), context, tokens(*CHOICE_TOKENS)) for choice in range(2)]
    return requests


async def score_by_engine(engine: TorchEngine, requests: list[LmEvalRequest]) -> Scores:
    """The engine's process, asked from this one."""
    request = ScoreRequest(
        model="model",
        sequences=tuple((*context, *continuation) for _, context, continuation in requests),
        starts=tuple(len(context) for _, context, _ in requests),
    )
    return [sum(token.logprob for token in score.tokens) for score in await engine.score(request)]


def by_hf(own: Own, requests: list[LmEvalRequest], batch_size: int) -> Callable[[], Scores]:
    """lm-eval's `hf` backend, which gets token ids as it makes them of texts."""
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(own.folder)
    tokenizer = AutoTokenizer.from_pretrained(own.folder)
    backend: Any = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, device="cpu")
    return lambda: [score for score, _ in backend._loglikelihood_tokens(requests, disable_tqdm=True)]


def by_client(own: Own, requests: list[LmEvalRequest]) -> Callable[[], Scores]:
    """lm-eval's client against the server."""
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    client: Any = LocalCompletionsAPI(
        base_url=f"{own.url}/v1/completions",
        model=MODEL,
        tokenizer_backend="huggingface",
        tokenizer=str(own.folder),
        batch_size=HTTP_BATCH,
        num_concurrent=HTTP_CONCURRENT,
        max_length=2 * max(len(context) + len(rest) for _, context, rest in requests),
    )
    return lambda: [score for score, _ in client._loglikelihood_tokens(requests, disable_tqdm=True)]


if __name__ == "__main__":
    main()

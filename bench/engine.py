"""The torch engine beside transformers' own ways to generate: its continuous batching, and `generate`.

Run `python -m bench.engine`; it writes one JSON object. All sides take turns in one run, on the same threads
and the same weights, so the ratios hold where the figures don't; medians over rounds.

Rates are useful new tokens a second of a mixed load: prompts of 16 to 64 tokens, answers of 16 to 128 (of
8 to 32 and 16 to 96 for the quickstart's model, which reads no more), the same work for every side.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson

from bench.models import MODELS, BenchModel, make_model
from services.model_server.engine.base import GenerateRequest, ModelFolder, Sampling
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.torch_engine import TorchEngine

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAIVE_JOBS = 8
"""One after another: more of them say nothing new."""


@dataclass(frozen=True, slots=True)
class Job:
    """A prompt, and how many tokens are to follow."""

    prompt: tuple[int, ...]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds for all jobs, and until each job's first token, where that is known."""

    seconds: float
    first_tokens: tuple[float, ...] = ()


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="llama-10m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrent", type=int, nargs="+", default=[1, 8, 32])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder), chosen.model, chosen.threads)
        table = asyncio.run(measure(model, Path(folder), chosen))
    sys.stdout.buffer.write(orjson.dumps(table, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


async def measure(model: "PreTrainedModel", folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """All comparisons."""
    engine = TorchEngine(EngineOptions(num_threads=chosen.threads))
    await engine.start()
    await engine.load(ModelFolder(key="model", folder=folder))
    table: dict[str, Any] = {"model": chosen.model, "threads": chosen.threads, "rounds": chosen.rounds}
    load = MODELS[chosen.model]
    try:
        await run_engine(engine, make_jobs(8, load, seed=-1))
        table["generation"] = [
            await compare_generation(engine, model, load, concurrent, chosen.rounds)
            for concurrent in chosen.concurrent
        ]
    finally:
        await engine.stop()
    return table


def make_jobs(count: int, load: BenchModel, *, seed: int) -> list[Job]:
    """A mixed load."""
    draw = random.Random(seed)
    return [
        Job(
            tuple(draw.randrange(1, load.vocabulary) for _ in range(draw.randint(*load.prompt_tokens))),
            draw.randint(*load.new_tokens),
        )
        for _ in range(count)
    ]


async def compare_generation(
    engine: TorchEngine, model: "PreTrainedModel", load: BenchModel, concurrent: int, rounds: int
) -> dict[str, Any]:
    """New tokens a second of each side with so many requests at once."""
    rates: dict[str, list[float]] = {"engine": [], "continuous": [], "naive": []}
    first_tokens: list[float] = []
    for number in range(rounds):
        jobs = make_jobs(concurrent, load, seed=number)
        total = sum(job.max_tokens for job in jobs)
        timing = await run_engine(engine, jobs)
        first_tokens += timing.first_tokens
        rates["engine"].append(total / timing.seconds)
        rates["continuous"].append(total / run_continuous(model, jobs))
        some = jobs[:NAIVE_JOBS]
        rates["naive"].append(sum(job.max_tokens for job in some) / run_naive(model, some))
    row = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    peer = [max(pair) for pair in zip(rates["continuous"], rates["naive"], strict=True)]
    ratios = [ours / best for ours, best in zip(rates["engine"], peer, strict=True)]
    return {
        "concurrent": concurrent,
        **row,
        "ratio_to_better": round(statistics.median(ratios), 2),
        "first_token_p50_seconds": round(statistics.median(first_tokens), 3),
    }


async def run_engine(engine: TorchEngine, jobs: list[Job]) -> Timing:
    """All jobs at once through the real process."""
    begin = time.perf_counter()

    async def one(job: Job) -> float:
        sampling = Sampling(max_tokens=job.max_tokens, temperature=0.0)
        first = None
        num = 0
        async for chunk in engine.generate(
            GenerateRequest(model="model", prompt=job.prompt, sampling=sampling)
        ):
            first = first if first is not None else time.perf_counter() - begin
            num += len(chunk.tokens)
        assert num == job.max_tokens and first is not None
        return first

    first_tokens = await asyncio.gather(*(one(job) for job in jobs))
    return Timing(time.perf_counter() - begin, tuple(first_tokens))


def run_continuous(model: "PreTrainedModel", jobs: list[Job]) -> float:
    """Seconds that transformers' continuous batching takes, its warm-up and shut-down left out."""
    from transformers import ContinuousBatchingConfig, GenerationConfig

    settings = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False, max_new_tokens=128, eos_token_id=-1, pad_token_id=0
    )
    sizes = ContinuousBatchingConfig(num_blocks=64, max_batch_tokens=512)
    before = model.config._attn_implementation
    with cast(Any, model).continuous_batching_context_manager(
        generation_config=settings, continuous_batching_config=sizes
    ) as manager:
        begin = time.perf_counter()
        for job in jobs:
            manager.add_request(list(job.prompt), max_new_tokens=job.max_tokens, eos_token_id=-1)
        num_left = len(jobs)
        while num_left:
            result = manager.get_result(timeout=1)
            if result is not None and result.is_finished():
                num_left -= 1
        seconds = time.perf_counter() - begin
    model.set_attn_implementation(before)
    return seconds


def run_naive(model: "PreTrainedModel", jobs: list[Job]) -> float:
    """Seconds that one `generate` after another takes."""
    import torch

    generate = cast(Any, model).generate
    begin = time.perf_counter()
    for job in jobs:
        with torch.inference_mode():
            generate(
                torch.tensor([job.prompt]),
                attention_mask=torch.ones(1, len(job.prompt), dtype=torch.int64),
                do_sample=False,
                max_new_tokens=job.max_tokens,
                min_new_tokens=job.max_tokens,
            )
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()

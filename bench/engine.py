"""The torch engine beside transformers' own ways to generate, and beside a plain padded scoring loop.

Run `python -m bench.engine`; it writes one JSON object. All sides take turns in one run, on the same threads
and the same random weights, so the ratios hold where the figures don't; medians over rounds. "lm-eval" here
is a loop that does what its `hf` backend does (pad, full logits, log-softmax over all of them), without the
rest of it: the real one is slower.

Rates are useful new tokens a second: the same work for every side.
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

from services.model_server.engine.base import GenerateRequest, ModelFolder, Sampling, ScoreRequest
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.torch_engine import TorchEngine

if TYPE_CHECKING:
    from transformers import PreTrainedModel

VOCABULARY = 8192
NUM_ITEMS = 64
HF_BATCH = 8


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
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrent", type=int, nargs="+", default=[1, 8, 32])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder), chosen.threads)
        table = asyncio.run(measure(model, Path(folder), chosen))
    sys.stdout.buffer.write(orjson.dumps(table, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def make_model(folder: Path, threads: int) -> "PreTrainedModel":
    """A Llama of 10.5 M parameters with random weights, saved and returned."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    torch.nn.Module.eval(model)
    model.save_pretrained(folder)
    return model


async def measure(model: "PreTrainedModel", folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """All comparisons."""
    engine = TorchEngine(EngineOptions(num_threads=chosen.threads))
    await engine.start()
    await engine.load(ModelFolder(key="model", folder=folder))
    table: dict[str, Any] = {"threads": chosen.threads, "rounds": chosen.rounds, "generation": []}
    try:
        await run_engine(engine, make_jobs(8, seed=-1))
        for concurrent in chosen.concurrent:
            row = await compare_generation(engine, model, concurrent, chosen.rounds)
            table["generation"].append(row)
        table["scoring"] = await compare_scoring(engine, model, chosen.rounds)
    finally:
        await engine.stop()
    return table


def make_jobs(count: int, *, seed: int) -> list[Job]:
    """Prompts of 16 to 64 tokens, answers of 16 to 128."""
    draw = random.Random(seed)
    return [
        Job(tuple(draw.randrange(1, VOCABULARY) for _ in range(draw.randint(16, 64))), draw.randint(16, 128))
        for _ in range(count)
    ]


async def compare_generation(
    engine: TorchEngine, model: "PreTrainedModel", concurrent: int, rounds: int
) -> dict[str, Any]:
    """New tokens a second of each side with so many requests at once."""
    rates: dict[str, list[float]] = {"engine": [], "continuous": [], "naive": []}
    first_tokens: list[float] = []
    for number in range(rounds):
        jobs = make_jobs(concurrent, seed=number)
        total = sum(job.max_tokens for job in jobs)
        timing = await run_engine(engine, jobs)
        first_tokens += timing.first_tokens
        rates["engine"].append(total / timing.seconds)
        rates["continuous"].append(total / run_continuous(model, jobs))
        some = jobs[:8]  # One after another: more of them say nothing new.
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


async def compare_scoring(engine: TorchEngine, model: "PreTrainedModel", rounds: int) -> dict[str, Any]:
    """Two-choice items with one context a second: contexts of 32 to 96 tokens, choices of 3 to 8."""
    draw = random.Random(0)

    def tokens(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw.randrange(1, VOCABULARY) for _ in range(draw.randint(low, high)))

    pairs: list[tuple[tuple[int, ...], int]] = []
    for _ in range(NUM_ITEMS):
        context = tokens(32, 96)
        pairs += [((*context, *tokens(3, 8)), len(context)) for _ in range(2)]
    request = ScoreRequest(
        model="model",
        sequences=tuple(ids for ids, _ in pairs),
        starts=tuple(start for _, start in pairs),
    )
    expected = score_padded(model, pairs)
    scores = await engine.score(request)
    ours, theirs = [], []
    for _ in range(rounds):
        begin = time.perf_counter()
        await engine.score(request)
        ours.append(NUM_ITEMS / (time.perf_counter() - begin))
        begin = time.perf_counter()
        score_padded(model, pairs)
        theirs.append(NUM_ITEMS / (time.perf_counter() - begin))
    found = [sum(token.logprob for token in score.tokens) for score in scores]
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return {
        "items_per_second": round(statistics.median(ours), 1),
        "plain_padded_loop": round(statistics.median(theirs), 1),
        "ratio": round(statistics.median(ratios), 2),
        "largest_difference_nats": max(abs(a - b) for a, b in zip(found, expected, strict=True)),
    }


def score_padded(model: "PreTrainedModel", pairs: list[tuple[tuple[int, ...], int]]) -> list[float]:
    """What lm-eval's `hf` backend computes: longest first, padded, the log-softmax of all logits."""
    import torch

    order = sorted(range(len(pairs)), key=lambda n: -len(pairs[n][0]))
    found = [0.0] * len(pairs)
    for first in range(0, len(order), HF_BATCH):
        numbers = order[first : first + HF_BATCH]
        width = max(len(pairs[n][0]) for n in numbers) - 1
        rows = [list(pairs[n][0][:-1]) for n in numbers]
        batch = torch.tensor([row + [0] * (width - len(row)) for row in rows])
        with torch.inference_mode():
            logprobs = torch.log_softmax(model(batch).logits, -1)
        for row_logprobs, n in zip(logprobs, numbers, strict=True):
            ids, start = pairs[n]
            targets = torch.tensor(ids[start:])[:, None]
            found[n] = float(row_logprobs[start - 1 : len(ids) - 1].gather(-1, targets).sum())
    return found


if __name__ == "__main__":
    main()

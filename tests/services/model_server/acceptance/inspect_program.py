"""Evaluate by inspect_ai's own functions and write down what it found.

Arguments: the model as the server calls it, the questions as JSON, a file for the answers, and a folder for
inspect's logs. Inspect finds the server by the variables `PARABLE_BASE_URL` and `PARABLE_API_KEY`.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import choice, perplexity, target_perplexity
from inspect_ai.solver import generate, multiple_choice


@dataclass(frozen=True)
class Questions:
    """What is asked."""

    texts: list[str]
    questions: list[str]
    num_target_tokens: int


def main() -> None:
    model, asked, path, logs = sys.argv[1:]
    ask = Questions(**json.loads(asked))
    chat, plain = f"openai-api/parable/{model}", f"openai-api-completions/parable/{model}"
    found = {
        "choice": _run(_choosing(ask), chat, logs),
        "chat": _run(_chatting(ask), chat, logs),
        "perplexity": _run(_measuring(ask), plain, logs),
        "target": _run(_targeting(ask), plain, logs),
        "plain": _run(_continuing(ask), plain, logs),
    }
    Path(path).write_text(json.dumps(found))


def _choosing(ask: Questions) -> Task:
    samples = [Sample(input=text, choices=["tell the truth", "lie"], target="A") for text in ask.questions]
    config = GenerateConfig(temperature=0.0, max_tokens=16)
    return Task(dataset=MemoryDataset(samples), solver=multiple_choice(), scorer=choice(), config=config)


def _chatting(ask: Questions) -> Task:
    config = GenerateConfig(
        temperature=0.0, seed=7, max_tokens=8, logprobs=True, top_logprobs=2, num_choices=2, stop_seqs=["%"]
    )
    return Task(
        dataset=MemoryDataset([Sample(text) for text in ask.questions]), solver=generate(), config=config
    )


def _measuring(ask: Questions) -> Task:
    config = GenerateConfig(max_tokens=1, prompt_logprobs=1)
    dataset = MemoryDataset([Sample(text) for text in ask.texts])
    return Task(dataset=dataset, solver=generate(), scorer=perplexity(), config=config)


def _targeting(ask: Questions) -> Task:
    config = GenerateConfig(max_tokens=1, prompt_logprobs=1)
    dataset = MemoryDataset([Sample(text) for text in ask.texts])
    scorer = target_perplexity(ask.num_target_tokens)
    return Task(dataset=dataset, solver=generate(), scorer=scorer, config=config)


def _continuing(ask: Questions) -> Task:
    config = GenerateConfig(temperature=0.0, max_tokens=12, logprobs=True, top_logprobs=3)
    return Task(dataset=MemoryDataset([Sample(text) for text in ask.texts]), solver=generate(), config=config)


def _run(task: Task, model: str, logs: str) -> dict[str, Any]:
    (log,) = eval(task, model=model, log_dir=logs, display="none", log_level="warning")
    return {"status": log.status, "error": str(log.error), "samples": _samples(log)}


def _samples(log: EvalLog) -> list[dict[str, Any]]:
    return [
        {
            "error": None if one.error is None else one.error.message,
            "output": one.output.model_dump(mode="json"),
            "scores": {name: score.model_dump(mode="json") for name, score in (one.scores or {}).items()},
        }
        for one in sorted(log.samples or [], key=lambda sample: sample.id)
    ]


if __name__ == "__main__":
    main()

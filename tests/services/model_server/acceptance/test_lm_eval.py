"""Stock lm-eval over HTTP finds, item by item, what it finds when it loads the checkpoint itself."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from services.model_server.example_task import NAME, write_example_task
from tests.services.model_server.acceptance import grown
from tests.services.model_server.acceptance.conftest import Served

COMMANDS = Path(__file__).with_name("lm_eval_commands.py")
TOLERANCE_NATS = 1e-4
_FLOAT32 = 2**-23
ROLLING, WRITING = "rolling", "writing"
LENGTH = f"max_length={grown.MAX_LENGTH}"
TWO_LESS = f"max_length={grown.MAX_LENGTH - 2}"
"""The API's client takes one off for a token that is made, and one more off each window of a long text."""
HOW = {
    "ids": "tokenizer={folder}",
    "strings": "tokenizer={folder},tokenized_requests=False",
    "remote": "tokenizer_backend=remote",
}

Answers = dict[str, list[list[tuple[float, str]] | str]]
"""By task, in the order of its items: each request's log-probability and whether it was greedy, or a text."""


@dataclass(frozen=True, slots=True)
class Way:
    """How the client asks."""

    how: str
    batch: int
    concurrent: int

    @property
    def label(self) -> str:
        return f"{self.how}-{self.batch}-{self.concurrent}"


PRINTED = Way("remote", 1, 1)
IN_PROCESS = "in-process"


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    write_example_task(folder)
    texts = list(grown.documents()[:6])
    # The last text is longer than the model reads at once; the windows that it is cut into overlap.
    texts.append(" ".join(grown.documents()[10:50]))
    _write(folder, ROLLING, texts, {"output_type": "loglikelihood_rolling", "doc_to_target": "{{text}}"})
    prompts = [f"<|endoftext|>{text[: len(text) // 2].rstrip()}" for text in grown.documents()[6:14]]
    settings = {"until": ["."], "max_gen_toks": 24, "do_sample": False, "temperature": 0.0}
    more = {"output_type": "generate_until", "doc_to_target": "", "generation_kwargs": settings}
    _write(folder, WRITING, prompts, more)
    return folder


def _write(folder: Path, name: str, texts: Sequence[str], more: Mapping[str, object]) -> None:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    rolling = more["output_type"] == "loglikelihood_rolling"
    metric = {"metric": "word_perplexity"} if rolling else {"metric": "bypass"}
    task = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}},
        "test_split": "test",
        "doc_to_text": "" if rolling else "{{text}}",
        **more,
        "metric_list": [metric],
        "metadata": {"version": 1.0},
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task, sort_keys=False))


class Evaluator:
    """Runs lm-eval's command and reads the samples that it logs."""

    def __init__(self, served: Served, tasks: Path, folder: Path) -> None:
        self._served = served
        self._tasks = tasks
        self._folder = folder

    def run(self, ways: Sequence[Way], *, in_process: bool = False) -> dict[str, Answers]:
        """What it finds by asking the server in several ways, and by loading the checkpoint itself."""
        runs = {way.label: self._over_http(way) for way in ways}
        return self._run(runs | ({IN_PROCESS: self._in_process()} if in_process else {}))

    def _in_process(self) -> list[str]:
        arguments = f"pretrained={self._served.folder},dtype=float32,{TWO_LESS}"
        return ["--model", "hf", "--device", "cpu", "--batch_size", "1", "--model_args", arguments]

    def _over_http(self, way: Way) -> list[str]:
        parts = [
            f"model={self._served.model}",
            f"base_url={self._served.url}/v1/completions",
            f"num_concurrent={way.concurrent}",
            LENGTH,
            HOW[way.how].format(folder=self._served.folder),
        ]
        batch = ["--batch_size", str(way.batch)]
        return ["--model", "local-completions", *batch, "--model_args", ",".join(parts)]

    def _run(self, runs: dict[str, list[str]]) -> dict[str, Answers]:
        common = ["--include_path", str(self._tasks), "--tasks", f"{NAME},{ROLLING},{WRITING}"]
        commands = [
            [*own, *common, "--log_samples", "--output_path", str(self._folder / label)]
            for label, own in runs.items()
        ]
        listed = self._folder / "commands.json"
        listed.write_text(json.dumps(commands))
        done = subprocess.run(
            [sys.executable, str(COMMANDS), str(listed)],
            env=self._served.environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-6000:] + self._served.log.read_text()[-2000:]
        return {label: _read(self._folder / label) for label in runs}


def _read(folder: Path) -> Answers:
    found: Answers = {}
    for task in (NAME, ROLLING, WRITING):
        (path,) = folder.rglob(f"samples_{task}_*.jsonl")
        samples = [json.loads(line) for line in path.read_text().splitlines()]
        samples.sort(key=lambda sample: sample["doc_id"])
        found[task] = [_answer(task, sample["resps"]) for sample in samples]
    return found


def _answer(task: str, responses: list[list[object]]) -> list[tuple[float, str]] | str:
    first = [one[0] for one in responses]
    if task == WRITING:
        return str(first[0])
    if task == ROLLING:
        return [(float(str(one)), "") for one in first]
    pairs = [one for one in first if isinstance(one, list)]
    return [(float(value), str(greedy)) for value, greedy in pairs]


@pytest.fixture(scope="session")
def evaluator(served: Served, tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluator:
    return Evaluator(served, tasks, tmp_path_factory.mktemp("lm-eval"))


@pytest.fixture(scope="session")
def first(evaluator: Evaluator) -> dict[str, Answers]:
    """The line that the server prints, and the checkpoint itself: in one process, which is slow to begin."""
    return evaluator.run([PRINTED], in_process=True)


@pytest.fixture(scope="session")
def in_process(first: dict[str, Answers]) -> Answers:
    return first[IN_PROCESS]


def differences(found: Answers, expected: Answers, tasks: Sequence[str]) -> Iterator[float]:
    """Of every log-probability; the greedy flags, and which items there are, must be equal."""
    for task in tasks:
        assert len(found[task]) == len(expected[task]) > 0
        for ours, theirs in zip(found[task], expected[task], strict=True):
            assert isinstance(ours, list) and isinstance(theirs, list)
            assert [flag for _, flag in ours] == [flag for _, flag in theirs]
            for (one, _), (other, _) in zip(ours, theirs, strict=True):
                # lm-eval's own sum is a float32: of a long text it can't be finer than its last place.
                yield abs(one - other) - _FLOAT32 * abs(other)


def check(label: str, found: Answers, expected: Answers) -> None:
    largest = max(differences(found, expected, [NAME, ROLLING]))
    assert largest <= TOLERANCE_NATS, f"{label}: {largest:.2e} nats"
    assert found[WRITING] == expected[WRITING], label


def test_what_is_compared_is_far_from_chance(in_process: Answers) -> None:
    choices = [one for one in in_process[NAME] if isinstance(one, list)]
    assert len({round(value, 2) for item in choices for value, _ in item}) > 20
    assert {flag for item in choices for _, flag in item} == {"True", "False"}
    assert len(set(map(str, in_process[WRITING]))) > 4


def test_the_line_that_the_server_prints(first: dict[str, Answers], in_process: Answers) -> None:
    check(PRINTED.label, first[PRINTED.label], in_process)


@pytest.mark.slow
def test_every_way_to_ask(evaluator: Evaluator, in_process: Answers) -> None:
    ways = [Way(*parts) for parts in itertools.product(HOW, (1, 8), (1, 8))]
    ways.remove(PRINTED)
    for label, found in evaluator.run(ways).items():
        check(label, found, in_process)

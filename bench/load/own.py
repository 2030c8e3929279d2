"""A server of one's own, over a random model, for a machine that has nothing to serve yet."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

from bench.models import MODELS, make_model
from parable.artifact import Artifact, Blueprint, ProductWriter, build
from parable.canonical import digest, readable_json
from parable.inference.codec import BAD, END, GOOD
from parable.store import LocalStore, ObjectStore
from services.model_server import ServerSettings

ROOT = Path(__file__).resolve().parents[2]
MODEL = "toy.random.seed-0"
START_SECONDS = 120.0
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Own:
    """A running server.

    Attributes:
        url: Where it answers.
        folder: Its model's files.
        num_threads: Of its engine.
        seconds_to_ready: From its start.
        process: The server.
    """

    url: str
    folder: Path
    num_threads: int
    seconds_to_ready: float
    process: "subprocess.Popen[bytes]"


@contextmanager
def own_server(num_threads: int, *, model: str = "llama-10m", **settings: Any) -> Iterator[Own]:
    """A server over random weights, until the block ends.

    Args:
        num_threads: of its engine.
        model: one of `bench.models.MODELS`.
        settings: more of `ServerSettings`' fields.

    Raises:
        RuntimeError: it did not get ready.
    """
    with tempfile.TemporaryDirectory(prefix="parable-load-") as name:
        root = Path(name)
        make_checkpoint(root / "model", model, num_threads)
        store = LocalStore(root / "store")
        seal(store, root / "model")
        told: dict[str, Any] = {"port": free_port(), "metrics_port": None, **settings}
        told |= {"store": str(root / "store"), "cache": str(root / "cache"), "num_threads": num_threads}
        (root / "settings.json").write_text(ServerSettings(**told).model_dump_json())
        command = [sys.executable, "-m", "pipelines.command", "serve"]
        command += ["--settings", str(root / "settings.json")]
        with (root / "server.log").open("wb") as log:
            begin = time.perf_counter()
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{told['port']}"
        try:
            if not _wait_until_ready(process, url):
                raise RuntimeError(f"the server did not get ready:\n{(root / 'server.log').read_text()}")
            yield Own(url, root / "model", num_threads, time.perf_counter() - begin, process)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()
            process.wait()


def make_checkpoint(folder: Path, model: str, num_threads: int) -> None:
    """The files of a checkpoint: random weights, and a tokenizer of as many tokens as there are logits."""
    make_model(folder, model, num_threads)
    (folder / "tokenizer.json").write_text(tokenizer_json(MODELS[model].vocabulary))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **dict.fromkeys(("bos_token", "eos_token", "pad_token"), END),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def tokenizer_json(vocabulary: int) -> str:
    """A byte-level BPE tokenizer that joins pairs of printable characters, as many as there is room for."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    specials = (END, GOOD, BAD)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    printable = [*"etaoinshrdlu", *sorted(set(map(chr, range(33, 127))) - set("etaoinshrdlu")), "Ġ"]
    merges = list(islice(product(printable, repeat=2), vocabulary - len(specials) - len(alphabet)))
    tokens = (*specials, *alphabet, *(first + second for first, second in merges))
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in specials])
    assert tokenizer.get_vocab_size() == vocabulary
    return str(tokenizer.to_str())


def seal(store: ObjectStore, folder: Path) -> Artifact:
    """Put a model's files into a store as a training run would leave them."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}

    def make(writer: ProductWriter) -> None:
        for name, data in files.items():
            writer.put(f"model/{name}", data)
        writer.put_json("state.json", {"step": 0, "tokens": 0})
        writer.summary.update({"step": 0, "tokens": 0})

    config = {name: digest(data) for name, data in files.items()}
    sealed = build(store, Blueprint("segments", "pretrain", 1, config, {}), make)
    recipe, arm, seed = MODEL.split(".")
    pointer = {"model": sealed.key, "segments": [sealed.key]}
    store.put(f"runs/{recipe}/{arm}/{seed}.json", readable_json(pointer))
    return sealed


def free_port() -> int:
    """One that was free a moment ago."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str) -> bool:
    end = time.perf_counter() + START_SECONDS
    while time.perf_counter() < end and process.poll() is None:
        with (
            suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"{url}/health/ready", timeout=1) as response,
        ):
            if response.status == 200:
                return True
        time.sleep(LOOK_SECONDS)
    return False

"""`parable serve`: a store's checkpoints on this machine, and three lines to paste."""

import logging
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import orjson
from pydantic import ValidationError

from parable.errors import UserError
from parable.runs import read_pointers
from parable.store import open_store
from services.model_server.example_task import NAME, example_prompt, write_example_task
from services.model_server.models.base import UnknownModelError
from services.model_server.models.finding import Finder
from services.model_server.models.index import Index
from services.model_server.models.names import LATEST
from services.model_server.settings import EngineName, ServerSettings

METRICS_PORT_OFFSET = 1000
NUM_LISTED = 12
LOOK_SECONDS = 0.1
KEY_VARIABLE = "PARABLE_API_KEY"
EVERYWHERE = ("0.0.0.0", "::")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """What a person can paste.

    Attributes:
        url: Where the server answers.
        curl: Asks the default model for a continuation.
        lm_eval: Measures it with lm-eval, on a task that needs no download.
    """

    url: str
    curl: str
    lm_eval: str


def serve(
    store: str,
    *,
    model: str | None = None,
    port: int = 8000,
    host: str = "127.0.0.1",
    keys: Path | None = None,
    engine: EngineName = "torch",
    say: Callable[[str], None],
) -> None:
    """Serve a store's sealed checkpoints until a signal comes.

    Args:
        store: its address.
        model: what a request without a model means; None takes the newest run's baseline, first seed.
        port: of the API; 0 takes a free one. Metrics are a thousand ports above.
        host: address to listen on; one that others can reach needs keys.
        keys: file of API keys.
        engine: `torch`, or `vllm` where that is installed.
        say: is given the lines that a person should see.

    Raises:
        UserError: the store is not there or holds no model, the model is not in it, a port is taken, or the
            server would be open to a network without keys.
    """
    began = time.monotonic()
    settings = settings_for(store, model=model, port=port, host=host, keys=keys, engine=engine)
    index = _find(settings.store)
    name = _choose(index, settings.model)
    found = index.find(name).checkpoint
    # FastAPI and uvicorn take a while to import: what is wrong is said before.
    from services.model_server.build import build_app
    from services.model_server.serve import run_server

    app = build_app(settings.model_copy(update={"model": name}))
    with TemporaryDirectory(prefix="parable-tasks-") as folder:
        write_example_task(Path(folder))

        def announce(port: int, metrics_port: int | None) -> None:
            say(f"Loading {index.find(name).name} from {settings.store} ...")
            here = settings.model_copy(update={"port": port})
            lines = lines_for(here, name, max_length=found.max_length, tasks=Path(folder))
            announcer.text = announcement(lines, index, metrics_port=metrics_port)
            announcer.start()

        announcer = _Announcer(app.state.server.not_ready, say, began=began)
        try:
            run_server(app, on_start=announce)
        finally:
            announcer.ended.set()


def serve_settings(path: Path) -> None:
    """Serve as a file of settings says, as the chart does: JSON, with `ServerSettings`' fields.

    Raises:
        UserError: the file is not there or not valid, or what it asks for can't be.
    """
    settings = read_settings(path)
    from services.model_server.build import build_app
    from services.model_server.serve import run_server

    def announce(port: int, metrics_port: int | None) -> None:
        del metrics_port
        logger.info("serving %s on %s:%d", settings.store, settings.host, port)

    run_server(build_app(settings), on_start=announce)


def read_settings(path: Path) -> ServerSettings:
    """The settings in a JSON file, checked; raises as `serve_settings` does."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UserError(f"The settings {path} can't be read ({error.strerror}).") from error
    try:
        settings = ServerSettings.model_validate_json(text, strict=False)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        key = ".".join(map(str, wrong["loc"])) or "the file"
        raise UserError(f"The settings {path} are not valid: {key}: {wrong['msg']}.") from error
    settings.check()
    return settings


class _Announcer(threading.Thread):
    """Says a text when the server is ready: a line that is pasted before would not work.

    `began` is when the command did, by the monotonic clock.
    """

    def __init__(
        self, not_ready: Callable[[], str | None], say: Callable[[str], None], *, began: float
    ) -> None:
        super().__init__(daemon=True, name="announce")
        self.text = ""
        self.ended = threading.Event()
        self._not_ready = not_ready
        self._say = say
        self._began = began

    def run(self) -> None:
        while not self.ended.wait(LOOK_SECONDS):
            if self._not_ready() is None:
                self._say(f"Ready in {time.monotonic() - self._began:.1f} s.\n{self.text}")
                return


def settings_for(
    store: str, *, model: str | None, port: int, host: str, keys: Path | None, engine: EngineName = "torch"
) -> ServerSettings:
    """Settings of a server on this machine, checked.

    Raises:
        UserError: the port or the engine is none, or the server would be open to a network without keys.
    """
    if engine not in get_args(EngineName):
        raise UserError(f"--engine is {engine!r}; {' and '.join(get_args(EngineName))} are possible.")
    if not 0 <= port <= 65_535:
        raise UserError(f"--port is {port}; 0 to 65535 are possible, and 0 takes a free one.")
    metrics = port + METRICS_PORT_OFFSET if port else 0
    settings = ServerSettings(
        store=store,
        model=model,
        host=host,
        port=port,
        metrics_port=metrics if metrics <= 65_535 else None,
        keys_file=keys,
        engine=engine,
    )
    settings.check()
    return settings


def lines_for(settings: ServerSettings, model: str, *, max_length: int | None, tasks: Path) -> Lines:
    """The lines for a server that listens on the settings' host and port.

    Args:
        settings: of the server.
        model: the name to ask for.
        max_length: of the model; None where its config does not say.
        tasks: folder with the example task.
    """
    host = "127.0.0.1" if settings.host in EVERYWHERE else settings.host
    url = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
    body = {"model": model, "prompt": example_prompt(), "max_tokens": 16, "temperature": 0}
    curl = ["curl", "-s", f"{url}/v1/completions", "-H", "Content-Type: application/json"]
    curl += ["-d", orjson.dumps(body).decode()]
    arguments = [f"model={model}", f"base_url={url}/v1/completions", "tokenizer_backend=remote"]
    arguments += [] if max_length is None else [f"max_length={max_length}"]
    lm_eval = f"lm_eval --model local-completions --model_args {shlex.quote(','.join(arguments))}"
    more = f"--include_path {shlex.quote(str(tasks))} --tasks {NAME}"
    if settings.keys_file is None:
        return Lines(url=url, curl=shlex.join(curl), lm_eval=f"{lm_eval} {more}")
    # The shell puts the key in: it is written in no line.
    key = f'"${KEY_VARIABLE}"'
    return Lines(
        url=url,
        curl=f'{shlex.join(curl)} -H "Authorization: Bearer ${KEY_VARIABLE}"',
        lm_eval=f"OPENAI_API_KEY={key} {lm_eval},auth_token={key} {more}",
    )


def announcement(lines: Lines, index: Index, *, metrics_port: int | None) -> str:
    """What a person sees when the server is ready."""
    full = [name for name in index.aliases if name != LATEST]
    names = [*index.shorts, LATEST]
    told = f"{', '.join(names[:NUM_LISTED])}{_and_more(len(names) - NUM_LISTED)}"
    in_full = f"In full: {full[0]}{_and_more(len(full) - 1)}. " if full else ""
    metrics = "" if metrics_port is None else f"Metrics: port {metrics_port}. "
    return "\n".join(
        (
            f"Page:   {lines.url}/",
            f"Models: {told}.",
            f"        {in_full}{lines.url}/v1/models lists them.",
            f"{metrics}Ctrl-C ends it.",
            "",
            "Ask the default model:",
            lines.curl,
            "",
            "Measure it with lm-eval (pip install 'lm-eval[api]'); acc: how often the good act is likelier:",
            lines.lm_eval,
            "",
        )
    )


def _and_more(number: int) -> str:
    return f" and {number} more" if number > 0 else ""


def _find(address: str) -> Index:
    if "://" not in address and not Path(address).expanduser().is_dir():
        raise UserError(
            f"There is no store {address!r} yet. `parable run recipes/quickstart.yaml` makes one with "
            "models in it; --store names another."
        )
    store = open_store(address)
    index = Finder(store).find()
    if not index.listed:
        begun = sorted({pointer.recipe for pointer in read_pointers(store)})
        if begun:
            raise UserError(
                f"The run of {', '.join(begun)} in {store.uri} has sealed no checkpoint yet. Wait until it "
                "has; if nothing is working on it, `parable run` goes on from where it was."
            )
        raise UserError(
            f"The store {store.uri} holds no sealed checkpoint. `parable run recipes/quickstart.yaml` trains "
            "models and seals them there; --store names another store."
        )
    return index


def _choose(index: Index, model: str | None) -> str:
    """The name of the default model: an alias in full, or a checkpoint."""
    wanted = index.default if model is None else model
    assert wanted is not None, "a store with a checkpoint has a default"
    try:
        return index.alias_of(wanted) or index.find(wanted).name
    except UnknownModelError as error:
        raise UserError(str(error).replace("GET /v1/models", "a running server's /v1/models")) from error

"""The engine's process: `python -m services.model_server.engine.child FD OPTIONS`, which the server starts.

One thread takes frames, does a step, and sends what it brought; models are loaded beside it.
"""

import logging
import os
import signal
import socket
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from parable.process import die_with_parent, give_memory_back, num_usable_cpus
from services.model_server.engine.base import GenerateRequest, ModelFacts, ScoreRequest
from services.model_server.engine.iterations import IterationCounter
from services.model_server.engine.loader import Loader
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.wire import (
    Frame,
    FrameSocket,
    FrameTooLargeError,
    generate_request,
    score_request,
)

if TYPE_CHECKING:
    from parable.inference.decoder import Decoder
    from services.model_server.engine.batcher import Events

LOAD_POLL_SECONDS = 0.02
logger = logging.getLogger(__name__)


class Child:
    """Takes requests from a socket, and answers them step by step."""

    def __init__(self, connection: FrameSocket, options: EngineOptions) -> None:
        """Come up; afterwards the process answers."""
        import torch

        from services.model_server.engine.batcher import Batcher, BatcherOptions

        torch.set_num_threads(options.num_threads or num_usable_cpus())
        self._connection = connection
        self._options = options
        self._batcher = Batcher(
            BatcherOptions(
                cache_bytes=options.cache_bytes,
                max_sequences=options.max_sequences,
                interactive_seconds=options.interactive_seconds,
                evaluation_seconds=options.evaluation_seconds,
            )
        )
        self._loader = Loader(self._load)
        self._iterations = IterationCounter()
        self._last_beat = 0.0
        self._has_rested = True

    def run(self) -> None:
        """Work until the server has gone (EOFError)."""
        self._beat()
        while True:
            works = self._batcher.has_work and not self._connection.clogged
            patience = LOAD_POLL_SECONDS if self._loader.busy else self._options.beat_seconds
            frames = self._connection.receive(0.0 if works else patience)
            if not works and not frames:
                self._rest()
            for frame in frames:
                self._take(frame)
            self._take_loaded()
            if self._batcher.has_work and not self._connection.clogged:
                self._has_rested = False
                events = self._batcher.step()
                self._iterations.note(events.num_tokens)
                self._tell(events)
            if time.monotonic() - self._last_beat >= self._options.beat_seconds:
                self._beat()

    def _rest(self) -> None:
        """Nothing has come for a while: what a burst took need not stay with this process."""
        if not self._has_rested and not self._loader.busy:
            give_memory_back()
            self._has_rested = True

    def _take(self, frame: Frame) -> None:
        match frame.pop("do"):
            case "generate":
                self._submit(frame["id"], generate_request(frame["request"]))
            case "score":
                self._submit(frame["id"], score_request(frame["request"]))
            case "cancel":
                self._batcher.cancel(frame["id"])
            case "load":
                self._loader.ask(frame["key"], Path(frame["folder"]))
            case "unload":
                self._loader.drop(frame["key"])
                ended = self._batcher.remove_model(frame["key"])
                if ended:
                    self._send({"unloaded": [[number, frame["key"]] for number in ended]})

    def _submit(self, number: int, request: GenerateRequest | ScoreRequest) -> None:
        if not self._batcher.has_model(request.model):
            self._send({"unloaded": [[number, request.model]]})
        elif (refused := self._batcher.submit(number, request)) is not None:
            self._send({"refused": [[number, refused]]})

    def _load(self, folder: Path) -> "Decoder":
        from parable.inference.decoder import Decoder
        from parable.inference.loading import read_model

        return Decoder(read_model(folder, device=self._options.device, dtype=self._options.dtype))

    def _take_loaded(self) -> None:
        loaded = self._loader.take()
        if loaded is None:
            return
        key, decoder = loaded.key, loaded.outcome
        if isinstance(decoder, BaseException):
            self._send({"not_loaded": [key, f"{type(decoder).__name__}: {decoder}"]})
            return
        self._batcher.add_model(key, decoder)
        facts = ModelFacts(
            key=key,
            architecture=decoder.architecture,
            num_parameters=decoder.num_parameters,
            num_bytes=decoder.num_bytes,
            vocabulary=decoder.vocabulary,
            max_length=decoder.max_length,
        )
        self._send({"loaded": asdict(facts)})

    def _tell(self, events: "Events") -> None:
        frame: Frame = {}
        if events.tokens:
            frame["tokens"] = events.tokens
        if events.failed:
            frame["failed"] = events.failed
        for number, result in events.scores:
            try:
                self._send({"scores": [[number, result]]})
            except FrameTooLargeError as error:
                frame.setdefault("failed", []).append([number, f"the answer is {error}"])
        if frame:
            self._send(frame)

    def _send(self, frame: Frame) -> None:
        self._connection.send(frame)

    def _beat(self) -> None:
        self._last_beat = time.monotonic()
        batcher = self._batcher
        beat = {
            "busy": batcher.has_work,
            "num_steps": batcher.num_steps,
            "num_running": batcher.num_running,
            "num_waiting": batcher.num_waiting,
            "cache_usage": batcher.cache_usage,
        }
        self._send({"iterations": self._iterations.take(), "beat": beat})


def main(arguments: list[str]) -> None:
    """Run on an inherited socket until the server ends."""
    number, options = arguments
    # Ctrl-C reaches every process of a terminal; the server alone decides, and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    connection = FrameSocket(socket.socket(fileno=int(number)))
    os.set_inheritable(int(number), False)
    try:
        Child(connection, EngineOptions.model_validate_json(options)).run()
    except (EOFError, ConnectionError):
        logger.info("the server has gone; the engine ends")
        os._exit(0)  # A model that is being loaded is not waited for.


if __name__ == "__main__":
    main(sys.argv[1:])

"""What the routes share: one object that holds everything a running server is made of."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import cast

from starlette.requests import HTTPConnection

from services.model_server.access.keys import KeyRing
from services.model_server.admission import Admission
from services.model_server.api.token_texts import TokenTexts
from services.model_server.engine.base import Engine
from services.model_server.jobs.service import JobService
from services.model_server.models.base import Models, ServedModel
from services.model_server.settings import ServerSettings
from services.model_server.telemetry.metrics import Metrics
from services.model_server.telemetry.tracing import Tracing

_MOST_TOKEN_TEXTS = 8


@dataclass(slots=True)
class Server:
    """Lives as long as the application, as `app.state.server`.

    Attributes:
        settings: What it was told.
        engine: Answers in token ids.
        models: Names, and the weights that they mean.
        keys: Who may do what; None on a loopback address, where everyone may.
        admission: Queues before the engine.
        metrics: Counts.
        tracing: Spans; None traces nothing.
        jobs: Evaluations; None without a store.
        draining: Whether it is going down.
        num_active: Requests under way, health and metrics not counted.
        body_bytes: Of the bodies of all requests under way.
    """

    settings: ServerSettings
    engine: Engine
    models: Models
    keys: KeyRing | None
    admission: Admission
    metrics: Metrics
    tracing: Tracing | None
    jobs: JobService | None = None
    draining: bool = False
    num_active: int = 0
    body_bytes: int = 0
    _token_texts: OrderedDict[str, TokenTexts] = field(default_factory=OrderedDict)

    def drain(self) -> None:
        """Take no new work; what is under way goes on."""
        self.draining = True
        self.admission.close()
        if self.jobs is not None:
            self.jobs.drain()

    def not_ready(self) -> str | None:
        """Why requests should not be sent here, or None."""
        if self.draining:
            return "the server is going down"
        health = self.engine.health
        if not health.ready:
            return "the engine is not up"
        if not health.progressing:
            return f"the engine has made no progress for {health.seconds_since_progress:.0f} s"
        if not self.models.ready:
            return "the default model is not loaded"
        return None

    def token_texts(self, served: ServedModel) -> TokenTexts:
        """What each of a model's tokens is written as."""
        texts = self._token_texts.get(served.key)
        if texts is None:
            texts = self._token_texts[served.key] = TokenTexts(served.codec)
            while len(self._token_texts) > _MOST_TOKEN_TEXTS:
                self._token_texts.popitem(last=False)
        self._token_texts.move_to_end(served.key)
        return texts


def server_of(connection: HTTPConnection) -> Server:
    """The server that answers."""
    return cast(Server, connection.app.state.server)

"""An engine and models that stand in for the real ones, by the same protocols.

The engine is a bigram model in numpy: the next token depends on the last one alone, so a test can work out
every answer by itself. It says nothing of how the real engine computes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import numpy as np

from parable.canonical import canonical_json, digest
from services.model_server.engine.base import (
    BestOf,
    Chunk,
    EngineHealth,
    EngineRestartedError,
    GenerateRequest,
    ModelFacts,
    ModelFolder,
    RequestClass,
    SafeBeam,
    Scored,
    ScoreRequest,
    Token,
)
from services.model_server.engine.checks import check
from services.model_server.models.base import (
    ModelDescriptor,
    ModelUnavailableError,
    Rollout,
    ServedModel,
    UnknownModelError,
)
from services.model_server.models.codec import TextCodec
from tests.parable.inference.tiny import VOCABULARY, tokenizer_json

MAX_LENGTH = 128
CODEC = TextCodec(tokenizer_json().encode())
END = 0
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}<|endoftext|>{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def ids(text: str, *, parse_specials: bool = True) -> list[int]:
    """Ids of a text."""
    return list(CODEC.encode(text, parse_specials=parse_specials))


def table(seed: int, sayings: Sequence[str] = ()) -> np.ndarray:
    """(V, V) log-probabilities of the next token given the last.

    Args:
        seed: of the random part.
        sayings: texts that follow by themselves once they have begun, and then end; no token twice in one.
    """
    logits = np.random.default_rng(seed).normal(scale=2.0, size=(VOCABULARY, VOCABULARY))
    logits[:, :3] -= 10.0
    for saying in sayings:
        path = [*ids(saying), END]
        assert len(set(path)) == len(path), f"a token comes twice in {saying!r}"
        for before, after in pairwise(path):
            logits[before, after] = 30.0
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


HOLD_SECONDS = 0.01


class BigramEngine:
    """Answers by tables, one a model.

    Attributes:
        step_seconds: how long a token takes.
        held: no step of these classes ends: nothing of them is finished before a test is ready for it.
    """

    def __init__(self, tables: Mapping[str, np.ndarray], *, step_seconds: float = 0.0) -> None:
        self.tables = dict(tables)
        self.step_seconds = step_seconds
        self.held: frozenset[RequestClass] = frozenset()
        self.num_open = 0
        self.num_cancelled = 0
        self.requests: list[GenerateRequest | ScoreRequest] = []
        self.failure: Exception | None = None
        self.is_ready = self.is_progressing = True
        self._stopped = asyncio.Event()

    async def start(self) -> None:
        self._stopped = asyncio.Event()

    async def stop(self) -> None:
        self._stopped.set()

    async def load(self, model: ModelFolder) -> ModelFacts:
        return facts(model.key)

    async def unload(self, key: str) -> None:
        del self.tables[key]

    def has(self, key: str) -> bool:
        return key in self.tables

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        self.requests.append(request)
        check(request, facts(request.model))
        self.num_open += 1
        finished = False
        try:
            paths = self._paths(request)
            length = max(map(len, paths))
            for n in range(length):
                await self._wait(request)
                if self.failure is not None:
                    raise self.failure
                for draw, path in enumerate(paths):
                    if n < len(path):
                        token, finish = path[n]
                        yield Chunk(draw, () if token is None else (token,), finish)
            finished = True
        finally:
            self.num_open -= 1
            self.num_cancelled += not finished

    async def score(self, request: ScoreRequest) -> tuple[Scored, ...]:
        self.requests.append(request)
        check(request, facts(request.model))
        self.num_open += 1
        try:
            await self._wait(request)
            if self.failure is not None:
                raise self.failure
            return tuple(
                self._score(request, sequence, start)
                for sequence, start in zip(request.sequences, request.starts, strict=True)
            )
        except asyncio.CancelledError:
            self.num_cancelled += 1
            raise
        finally:
            self.num_open -= 1

    @property
    def health(self) -> EngineHealth:
        return EngineHealth(
            ready=self.is_ready,
            progressing=self.is_progressing,
            seconds_since_progress=0.0 if self.is_progressing else 99.0,
            restarts=0,
            num_running=self.num_open,
            num_waiting=0,
            cache_usage=0.25,
        )

    async def _wait(self, request: GenerateRequest | ScoreRequest) -> None:
        """Until a step is done."""
        if self.step_seconds:
            await self._pass(self.step_seconds)
        while request.request_class in self.held:
            await self._pass(HOLD_SECONDS)

    async def _pass(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        except TimeoutError:
            return
        raise EngineRestartedError("the engine was stopped")

    def _score(self, request: ScoreRequest, sequence: Sequence[int], start: int) -> Scored:
        logprobs = self.tables[request.model]
        tokens = tuple(
            _token(logprobs[sequence[n - 1]], sequence[n], request.top_logprobs, ranked=request.ranks)
            for n in range(start, len(sequence))
        )
        following = None
        if request.next_token:
            row = logprobs[sequence[-1]]
            following = _token(row, int(row.argmax()), request.top_logprobs)
        return Scored(tokens, following)

    def _paths(self, request: GenerateRequest) -> list[list[tuple[Token | None, str | None]]]:
        strategy, draws = request.sampling.strategy, request.draws
        if isinstance(strategy, BestOf):
            return [
                max(
                    (self._path(request, draw * strategy.draws + n) for n in range(strategy.draws)),
                    key=lambda path: float(
                        np.mean([token.logprob for token, _ in path if token is not None] or [-99])
                    ),
                )
                for draw in range(draws)
            ]
        return [self._path(request, draw) for draw in range(draws)]

    def _path(self, request: GenerateRequest, draw: int) -> list[tuple[Token | None, str | None]]:
        sampling = request.sampling
        banned = {*sampling.banned}
        greedy = sampling.temperature == 0
        if isinstance(sampling.strategy, SafeBeam):
            banned |= {*sampling.strategy.tags}
            greedy = True
        key = digest(canonical_json([sampling.seed, list(request.prompt), draw]))
        rng = np.random.default_rng(int(key[:16], 16))
        last, path = request.prompt[-1], []
        for n in range(sampling.max_tokens):
            row = self.tables[request.model][last]
            allowed = row.copy()
            allowed[list(banned)] = -np.inf
            if greedy:
                last = int(allowed.argmax())
            else:
                weights = np.exp(allowed / sampling.temperature)
                last = int(rng.choice(len(row), p=weights / weights.sum()))
            if last in sampling.stop:
                told = sampling.top_logprobs is not None
                path.append((_token(row, last, sampling.top_logprobs or 0) if told else None, "stop"))
                break
            finish = "length" if n + 1 == sampling.max_tokens else None
            path.append((_token(row, last, sampling.top_logprobs or 0), finish))
        return path


class FixedModels:
    """Models that are always there."""

    def __init__(
        self,
        keys: Sequence[str] = ("a",),
        *,
        chat_template: str | None = TEMPLATE,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self.served = {
            f"toy.{key}.seed-0@100": ServedModel(
                name=f"toy.{key}.seed-0@100",
                aliases=(f"toy.{key}.seed-0",),
                pinned=f"segments.{key}@100",
                key=key,
                digest=digest(key.encode())[:16],
                step=100,
                created=1_700_000_000,
                facts=facts(key),
                codec=CODEC,
                chat_template=chat_template,
                parents=(("parent", "segments/before"),),
            )
            for key in keys
        }
        first = next(iter(self.served))
        self.aliases = {one.aliases[0]: name for name, one in self.served.items()} | {"latest": first}
        self.aliases |= dict(aliases or {})
        self.is_ready = True
        self.unavailable: str | None = None
        self.num_leases = 0
        self.moves: list[tuple[str, str | None]] = []

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    @property
    def default(self) -> str | None:
        return "latest"

    @property
    def ready(self) -> bool:
        return self.is_ready

    def list(self) -> tuple[ModelDescriptor, ...]:
        return tuple(self.describe(name) for name in self.served)

    def describe(self, name: str) -> ModelDescriptor:
        found = self._find(name)
        return ModelDescriptor(
            name=found.name,
            aliases=tuple(alias for alias, target in self.aliases.items() if target == found.name),
            recipe="toy",
            arm=found.key,
            seed=0,
            step=found.step,
            created=found.created,
            digest=found.digest,
            artifact=f"segments/{found.key}",
            parents=found.parents,
            max_length=MAX_LENGTH,
            loaded=True,
        )

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[ServedModel]:
        found = self._find(name)
        if self.unavailable is not None:
            raise ModelUnavailableError(self.unavailable)
        self.num_leases += 1
        try:
            yield found
        finally:
            self.num_leases -= 1

    async def reload(self, alias: str, target: str | None = None) -> Rollout:
        self._find(alias)
        self.moves.append((alias, target))
        return self._rollout(alias)

    async def rollback(self, alias: str) -> Rollout:
        self._find(alias)
        self.moves.append((alias, "previous"))
        return self._rollout(alias)

    def desired(self) -> tuple[Rollout, ...]:
        return (self._rollout("latest"),)

    def _find(self, name: str) -> ServedModel:
        name = self.aliases.get(name, name)
        if name not in self.served:
            raise UnknownModelError(f"There is no model {name}.")
        return self.served[name]

    def _rollout(self, alias: str) -> Rollout:
        return Rollout(
            alias=alias,
            number=1,
            desired=self.aliases.get(alias, alias),
            pinned=False,
            current=self.aliases.get(alias, alias),
            previous=None,
            trouble=None,
        )


def facts(key: str) -> ModelFacts:
    return ModelFacts(
        key=key,
        architecture="Bigram",
        num_parameters=VOCABULARY**2,
        num_bytes=8 * VOCABULARY**2,
        vocabulary=VOCABULARY,
        max_length=MAX_LENGTH,
    )


def _token(row: np.ndarray, token: int, top: int, *, ranked: bool = False) -> Token:
    best = np.argsort(-row, kind="stable")[:top]
    rank = 1 + int((row > row[token]).sum()) if ranked else None
    return Token(token, float(row[token]), tuple((int(n), float(row[n])) for n in best), rank)

"""Iteration-level scheduling over all loaded models.

A step gives every running draw of every model one token, and divides a stretch of time between what else
there is to do: prompts to be read and texts to be scored, of interactive requests and of evaluation, of one
model and of another. The stretch is short while someone waits for an answer, so no long prompt and no pile
of texts holds up another's next token; and each kind of work has its share of it, so none starves.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from parable.inference.decoder import Decoder
from parable.inference.slots import Budget
from parable.inference.span_scores import SpanScorer
from services.model_server.engine.base import GenerateRequest, RequestClass, ScoreRequest
from services.model_server.engine.generation import Event, Generation
from services.model_server.engine.lane import Admission, Lane, StepEvents
from services.model_server.engine.scoring_queue import ScoreJob, ScoringQueue

INTERACTIVE, EVALUATION = RequestClass.INTERACTIVE, RequestClass.EVALUATION
CLASS_SHARES = {INTERACTIVE: 0.75, EVALUATION: 0.25}
"""Of the time for prompts and scoring, while both classes have some to do."""
FEWEST_TOKENS = 16
MOST_TOKENS = 8192
FIRST_SECONDS_PER_TOKEN = 2.5e-4
PACE_MEMORY = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class BatcherOptions:
    """How work is divided.

    Attributes:
        cache_bytes: Keys and values of all models together.
        max_sequences: Sequences of one model in a step at the most.
        interactive_seconds: Time a step gives to prompts and scoring while interactive work is there.
        evaluation_seconds: The same while there is none.
    """

    cache_bytes: int
    max_sequences: int = 64
    interactive_seconds: float = 0.1
    evaluation_seconds: float = 0.5


@dataclass(slots=True)
class Events:
    """What a step brought, as frames tell it: lists by request number."""

    tokens: list[Event] = field(default_factory=list)
    scores: list[list[Any]] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)
    num_tokens: int = 0
    """Read in all, new ones and those of prompts and of texts that are scored."""


class _Pace:
    """How long a model takes for a token where many are read at once."""

    def __init__(self) -> None:
        self.seconds_per_token = FIRST_SECONDS_PER_TOKEN

    def tokens_in(self, seconds: float) -> int:
        return min(MOST_TOKENS, max(FEWEST_TOKENS, int(seconds / self.seconds_per_token)))

    def note(self, seconds: float, num_tokens: int) -> None:
        if num_tokens >= 2 * FEWEST_TOKENS:
            new = seconds / num_tokens
            self.seconds_per_token = PACE_MEMORY * self.seconds_per_token + (1 - PACE_MEMORY) * new


class _Model:
    def __init__(self, decoder: Decoder, budget: Budget, options: BatcherOptions) -> None:
        self.lane = Lane(decoder, budget, max_sequences=options.max_sequences)
        self.scoring = ScoringQueue(SpanScorer(decoder))
        self.pace = _Pace()


class Batcher:
    """All models' work, one step at a time; not safe to call from several threads."""

    def __init__(self, options: BatcherOptions, *, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begin with no model."""
        self._options = options
        self._clock = clock
        self._budget = Budget(options.cache_bytes)
        self._models: dict[str, _Model] = {}
        self._waiting: dict[RequestClass, deque[Generation]] = {kind: deque() for kind in RequestClass}
        self.num_steps = 0

    def has_model(self, key: str) -> bool:
        """Whether requests for a model can be taken."""
        return key in self._models

    def add_model(self, key: str, decoder: Decoder) -> None:
        """Take a model in; one of the same key is replaced."""
        self.remove_model(key)
        self._models[key] = _Model(decoder, self._budget, self._options)

    @torch.inference_mode()
    def remove_model(self, key: str) -> list[int]:
        """Forget a model; the numbers of its requests, which end unanswered."""
        model = self._models.pop(key, None)
        if model is None:
            return []
        ended = [generation.id for generation in model.lane.running] + model.scoring.numbers()
        model.lane.close()
        for kind, waiting in self._waiting.items():
            ended += [generation.id for generation in waiting if generation.request.model == key]
            self._waiting[kind] = deque(g for g in waiting if g.request.model != key)
        return ended

    def submit(self, number: int, request: GenerateRequest | ScoreRequest) -> str | None:
        """Queue a request for a loaded model under a number of its own; why not, where it can't be done."""
        model = self._models[request.model]
        if isinstance(request, ScoreRequest):
            model.scoring.add(ScoreJob(number, request))
            return None
        generation = Generation(number, request)
        needed = generation.num_first_slots * model.lane.cache.slot_bytes(generation.length)
        if needed > self._budget.num_bytes or generation.num_first_slots > self._options.max_sequences:
            return (
                f"prompt and answer need {needed:,} bytes of keys and values in "
                f"{generation.num_first_slots} sequences; this engine has {self._budget.num_bytes:,} and "
                f"{self._options.max_sequences}. Ask for fewer tokens."
            )
        self._waiting[request.request_class].append(generation)
        return None

    @torch.inference_mode()
    def cancel(self, number: int) -> None:
        """Forget a request, if it is still there."""
        for waiting in self._waiting.values():
            for generation in waiting:
                if generation.id == number:
                    waiting.remove(generation)
                    return
        for model in self._models.values():
            if model.lane.cancel(number) or model.scoring.cancel(number):
                return

    @property
    def has_work(self) -> bool:
        """Whether a step would do anything."""
        return bool(self.num_waiting or any(m.lane.running for m in self._models.values()))

    @property
    def num_waiting(self) -> int:
        """Requests that have not begun, and those that are being scored."""
        scoring = sum(len(model.scoring) for model in self._models.values())
        return scoring + sum(len(waiting) for waiting in self._waiting.values())

    @property
    def num_running(self) -> int:
        """Sequences in the batch."""
        return sum(model.lane.num_sequences for model in self._models.values())

    @property
    def cache_usage(self) -> float:
        """Share of the key-value memory that is promised."""
        return self._budget.promised / self._budget.num_bytes

    @torch.inference_mode()
    def step(self) -> Events:
        """One token for each running draw, and a stretch of prompts and scoring."""
        self._admit()
        events = Events()
        seconds = self._divide()
        for key, model in self._models.items():
            if model.lane.running:
                prompts = {kind: seconds.get((key, "prompts", kind), 0.0) for kind in RequestClass}
                allowance = {kind: model.pace.tokens_in(prompts[kind]) for kind in RequestClass}
                self._generate(model, allowance, events)
            for kind in RequestClass:
                if model.scoring.has(kind):
                    self._score(model, kind, seconds[key, "scoring", kind], events)
        self.num_steps += 1
        return events

    def _generate(self, model: _Model, allowance: Mapping[RequestClass, int], events: Events) -> None:
        start = self._clock()
        found: StepEvents = model.lane.step(allowance)
        if 2 * found.num_read >= found.num_tokens:  # New tokens one by one take longer than a prompt's.
            model.pace.note(self._clock() - start, found.num_tokens)
        events.tokens += found.tokens
        events.failed += found.failed
        events.num_tokens += found.num_tokens

    def _score(self, model: _Model, kind: RequestClass, seconds: float, events: Events) -> None:
        start = self._clock()
        found = model.scoring.step(kind, model.pace.tokens_in(seconds))
        model.pace.note(self._clock() - start, found.num_tokens)
        events.scores += found.scores
        events.failed += found.failed
        events.num_tokens += found.num_tokens

    def _admit(self) -> None:
        """Begin what there is room for: first come, first served within a class, interactive first.

        A model that is full holds up its own requests only; memory is shared, so whoever waits for it is
        not overtaken by others of his class.
        """
        for kind in (INTERACTIVE, EVALUATION):
            others_wait = kind is INTERACTIVE and bool(self._waiting[EVALUATION])
            kept: deque[Generation] = deque()
            full: set[str] = set()
            waiting = self._waiting[kind]
            while waiting:
                generation = waiting.popleft()
                key = generation.request.model
                outcome = Admission.NO_SLOT
                if key not in full:
                    outcome = self._models[key].lane.admit(generation, others_wait=others_wait)
                if outcome is not Admission.BEGUN:
                    full.add(key)
                    kept.append(generation)
                if outcome is Admission.NO_MEMORY:
                    break
            self._waiting[kind] = deque((*kept, *waiting))

    def _divide(self) -> dict[tuple[str, str, RequestClass], float]:
        """Seconds for each kind of work that is there: by class, then evenly."""
        claims: dict[RequestClass, list[tuple[str, str, RequestClass]]] = {}
        for kind in RequestClass:
            models = self._models.items()
            found = [(key, "prompts", kind) for key, model in models if model.lane.unread(kind)]
            found += [(key, "scoring", kind) for key, model in models if model.scoring.has(kind)]
            if found:
                claims[kind] = found
        whole = sum(CLASS_SHARES[kind] for kind in claims)
        hurry = any(g.request_class is INTERACTIVE for m in self._models.values() for g in m.lane.running)
        hurry = hurry or INTERACTIVE in claims
        total = self._options.interactive_seconds if hurry else self._options.evaluation_seconds
        return {
            claim: total * CLASS_SHARES[kind] / whole / len(found)
            for kind, found in claims.items()
            for claim in found
        }

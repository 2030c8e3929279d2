"""One generate request while it runs: its prompt, its draws, and what they have said so far."""

from dataclasses import dataclass, field
from typing import Any

import torch

from parable.canonical import canonical_json, digest
from parable.inference.beam import BeamRules, ChosenToken, SafeBeamSearch
from parable.inference.choice import uniforms
from parable.inference.slots import Slot, SlotCache
from services.model_server.engine.base import BestOf, GenerateRequest, RequestClass, SafeBeam, Sampling

Event = list[Any]
"""What a frame tells of one request: [id, draw, tokens, finish]."""


@dataclass(slots=True, eq=False)
class Draw:
    """One continuation that is being drawn."""

    number: int
    slot: Slot
    uniform: torch.Tensor | None
    last: int = -1
    count: int = 0
    new: list[ChosenToken] = field(default_factory=list)
    finish: str | None = None
    logprob: float = 0.0
    tag_probability: float = 0.0


class Generation:
    """A request in the engine's process.

    Its prompt is read once, into a slot that all draws are copies of; the last draw takes that slot itself.
    """

    def __init__(self, number: int, request: GenerateRequest) -> None:
        """Take a request that has been found fit for its model."""
        self.id = number
        self.request = request
        self.sampling: Sampling = request.sampling
        self.strategy = request.sampling.strategy
        self.read = 0
        self.held: list[Slot] = []
        """Slots that no draw uses; the first holds the prompt."""
        self.first_logits_V: torch.Tensor | None = None
        self.draws: list[Draw] = []
        self.num_begun = 0
        self.beam: SafeBeamSearch | None = None
        self.stop = frozenset(self.sampling.stop)
        self.banned = torch.tensor(sorted(set(self.sampling.banned)), dtype=torch.int64)
        key = self.sampling.key
        self._key = digest(canonical_json([self.sampling.seed, list(request.prompt)])) if key is None else key
        self._best: dict[int, Draw] = {}
        self._num_ended = 0

    @property
    def request_class(self) -> RequestClass:
        """Its queue."""
        return self.request.request_class

    @property
    def num_draws(self) -> int:
        """Continuations that are drawn, those that best-of drops included."""
        return self.request.draws * (self.strategy.draws if isinstance(self.strategy, BestOf) else 1)

    @property
    def length(self) -> int:
        """Tokens that its slot must have room for."""
        spare = self.strategy.candidates if isinstance(self.strategy, SafeBeam) else 0
        return len(self.request.prompt) + self.sampling.max_tokens + spare

    @property
    def num_unread(self) -> int:
        """Tokens of the prompt that are not read yet."""
        return len(self.request.prompt) - self.read

    @property
    def num_first_slots(self) -> int:
        """Slots that it must have to begin: a beam search needs all of its own."""
        return self.strategy.width if isinstance(self.strategy, SafeBeam) else 1

    @property
    def slots(self) -> list[Slot]:
        """All that it holds."""
        return [*self.held, *(draw.slot for draw in self.draws)]

    @property
    def wants_logprobs(self) -> bool:
        """Whether log-probabilities are needed, to be told or to choose the best."""
        return self.sampling.top_logprobs is not None or isinstance(self.strategy, BestOf)

    @property
    def done(self) -> bool:
        """Whether every draw has ended."""
        return self._num_ended == self.num_draws

    @property
    def num_to_begin(self) -> int:
        """Draws that wait for a slot; none before the prompt is read."""
        if self.first_logits_V is None or self.beam is not None:
            return 0
        return self.num_draws - self.num_begun

    def begin_draw(self, slot: Slot) -> Draw:
        """The next draw, in a slot that holds the prompt."""
        number = self.num_begun
        self.num_begun += 1
        uniform = None
        if self.sampling.temperature > 0.0:
            uniform = torch.from_numpy(uniforms(self._key, number, self.sampling.max_tokens))
        draw = Draw(number, slot, uniform)
        self.draws.append(draw)
        return draw

    def begin_beam(self, cache: SlotCache, logits_V: torch.Tensor) -> None:
        """Search instead of drawing."""
        assert isinstance(self.strategy, SafeBeam)
        rules = BeamRules(
            tags=self.strategy.tags,
            width=self.strategy.width,
            candidates=self.strategy.candidates,
            drop=self.strategy.drop,
            max_tokens=self.sampling.max_tokens,
            stop=self.sampling.stop,
            banned=self.sampling.banned,
            top=self.sampling.top_logprobs or 0,
        )
        self.beam = SafeBeamSearch(rules, cache, self.held, logits_V)

    def add(self, draw: Draw, token: ChosenToken, tag_probability: float) -> None:
        """Count a token that was chosen for a draw."""
        draw.last = token.id
        draw.tag_probability += tag_probability
        if token.id in self.stop:
            draw.finish = "stop"
            draw.new += [token] if self.sampling.top_logprobs is not None else []
        else:
            draw.count += 1
            draw.logprob += token.logprob
            draw.new.append(token)
            if draw.count == self.sampling.max_tokens:
                draw.finish = "length"
        if draw.finish is not None:
            self._num_ended += 1

    def beam_events(self) -> list[Event]:
        """The best beam, whole, once the search is done."""
        assert self.beam is not None
        if not self.beam.done:
            return []
        self._num_ended = self.num_draws
        best = self.beam.best
        told = [] if best.end is None or self.sampling.top_logprobs is None else [best.end]
        return [self._event(0, [*best.path, *told], "length" if best.end is None else "stop")]

    def events(self, draw: Draw) -> list[Event]:
        """What is to be told of a draw's new tokens; of best-of only the best, when all are there."""
        if isinstance(self.strategy, BestOf):
            return self._best_events(draw, self.strategy)
        event = self._event(draw.number, draw.new, draw.finish)
        draw.new = []
        return [event]

    def _best_events(self, draw: Draw, best_of: BestOf) -> list[Event]:
        if draw.finish is None:
            return []
        kept = draw.number // best_of.draws
        before = self._best.get(kept)
        if before is None or _merit(draw, best_of) > _merit(before, best_of):
            self._best[kept] = draw
        if not self.done:
            return []
        return [self._event(number, best.new, best.finish) for number, best in sorted(self._best.items())]

    def _event(self, number: int, tokens: list[ChosenToken], finish: str | None) -> Event:
        if self.sampling.top_logprobs is None:
            return [self.id, number, [token.id for token in tokens], finish]
        return [self.id, number, [[token.id, token.logprob, token.top] for token in tokens], finish]


def _merit(draw: Draw, best_of: BestOf) -> tuple[float, int]:
    """The higher the better; of equals the first draw."""
    if best_of.by == "tag":
        # The token that ended it was chosen too, at the risk of a tag.
        num_choices = draw.count + (draw.finish == "stop")
        return -draw.tag_probability / num_choices, -draw.number
    return (draw.logprob / draw.count if draw.count else float("-inf")), -draw.number

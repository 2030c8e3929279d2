"""One model's generations, all in one pass a step: new tokens of those that run, prompts of those that begin.

Shapes: R rows of logits, V vocabulary.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeVar

import torch

from parable.inference.decoder import Decoder
from parable.inference.plan import Piece, Plan
from parable.inference.slots import Budget, Slot, SlotCache
from services.model_server.engine.base import RequestClass, SafeBeam
from services.model_server.engine.choosing import Choice, Chooser, choose
from services.model_server.engine.generation import Draw, Event, Generation

EVALUATION_SHARE = 0.75
"""Of slots and memory, the most for evaluation; and for interactive requests, while evaluation waits."""
FAILURES = (RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, AssertionError, MemoryError)
"""What a request can set off in a batch; anything else ends the process, and the supervisor sees to it."""
NOT_FINITE = "the model's output is not finite here: its weights, or what they make of this text, are broken"


@dataclass(slots=True)
class StepEvents:
    """What a step brought: tokens, requests that failed and why, and how many tokens were read."""

    tokens: list[Event] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)
    num_tokens: int = 0
    num_read: int = 0
    """Of these, tokens of prompts."""


class Admission(Enum):
    """What comes of asking for room."""

    BEGUN = auto()
    NO_SLOT = auto()
    NO_MEMORY = auto()


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What a generation has read in this step."""

    generation: Generation
    pieces: list[Piece]


Item = TypeVar("Item", _Work, Chooser)


class _Logits:
    """Logits of all pieces of a step, whether they were read together or one by one."""

    def __init__(self) -> None:
        self._parts: list[torch.Tensor] = []
        self._rows: dict[int, int] = {}
        self._num = 0

    def add(self, logits_RV: torch.Tensor, pieces: Sequence[Piece]) -> None:
        self._parts.append(logits_RV)
        for piece in pieces:
            self._rows[id(piece)] = self._num
            self._num += piece.wanted

    def row(self, piece: Piece) -> int:
        return self._rows[id(piece)]

    def of(self, piece: Piece) -> torch.Tensor:
        """(wanted, V)."""
        whole, first = self.whole(), self.row(piece)
        return whole[first : first + piece.wanted]

    def append(self, logits_V: torch.Tensor) -> int:
        """One more row; its number."""
        self._parts.append(logits_V[None])
        self._num += 1
        return self._num - 1

    def whole(self) -> torch.Tensor:
        if len(self._parts) > 1:
            self._parts = [torch.cat(self._parts)]
        return self._parts[0]


class Lane:
    """The generations of one model."""

    def __init__(self, decoder: Decoder, budget: Budget, *, max_sequences: int) -> None:
        """Run up to `max_sequences` sequences at once, in memory from a budget shared with other models."""
        self.decoder = decoder
        self.cache = SlotCache(decoder, budget)
        self.running: list[Generation] = []
        self._budget = budget
        self._max_sequences = max_sequences

    @property
    def num_sequences(self) -> int:
        """Slots in use."""
        return sum(len(generation.slots) for generation in self.running)

    def admit(self, generation: Generation, *, others_wait: bool) -> Admission:
        """Begin a generation if there is room; `others_wait` leaves some to the other class."""
        num = generation.num_first_slots
        room = self._has_room(generation, num, others_wait=others_wait)
        if room is not Admission.BEGUN:
            return room
        for _ in range(num):
            slot = self.cache.reserve(generation.length, generation.request_class)
            assert slot is not None
            generation.held.append(slot)
        self.running.append(generation)
        return Admission.BEGUN

    def unread(self, request_class: RequestClass) -> int:
        """Tokens of prompts that wait to be read."""
        return sum(g.num_unread for g in self.running if g.request_class is request_class)

    def cancel(self, number: int) -> bool:
        """End a generation now; whether it was here."""
        for generation in self.running:
            if generation.id == number:
                self._end(generation)
                return True
        return False

    def step(self, allowance: Mapping[RequestClass, int]) -> StepEvents:
        """One token for each draw, and as many tokens of prompts as each class is allowed."""
        events = StepEvents()
        work = self._work(allowance)
        logits = _Logits()
        for item in self._isolated(work, lambda items: self._read(items, logits, events), events):
            self._settle(item, logits, events)
        choosers = self._choosers(work, logits)
        choices: dict[Draw, Choice] = {}

        def decide(some: Sequence[Chooser]) -> None:
            found = choose(logits.whole(), some)
            choices.update(zip((chooser.draw for chooser in some), found, strict=True))

        for chooser in self._isolated(choosers, decide, events):
            self._apply(chooser.generation, chooser.draw, choices[chooser.draw], events)
        for generation in [g for g in self.running if g.done]:
            self._end(generation)
        return events

    def close(self) -> None:
        """Forget everything."""
        for generation in list(self.running):
            self._end(generation)
        self.cache.close()

    def _has_room(self, generation: Generation, num: int, *, others_wait: bool) -> Admission:
        """Whether so many more slots fit, in all and within what its class may hold."""
        kind = generation.request_class
        share = EVALUATION_SHARE if others_wait or kind is RequestClass.EVALUATION else 1.0
        own = sum(len(g.slots) for g in self.running if g.request_class is kind)
        total = self.num_sequences
        if total + num > self._max_sequences or (own and own + num > share * self._max_sequences):
            return Admission.NO_SLOT
        needed = num * self.cache.slot_bytes(generation.length)
        charged, budget = self._budget.charged(kind), self._budget
        if budget.promised + needed > budget.num_bytes:
            return Admission.NO_MEMORY
        if charged and charged + needed > share * budget.num_bytes:
            return Admission.NO_MEMORY
        return Admission.BEGUN

    def _work(self, allowance: Mapping[RequestClass, int]) -> list[_Work]:
        left = dict(allowance)
        work = []
        for generation in self.running:
            if generation.beam is not None:
                pieces = generation.beam.pieces()
            else:
                pieces = [Piece(draw.slot, (draw.last,)) for draw in generation.draws]
            num = min(generation.num_unread, left[generation.request_class])
            if num:
                left[generation.request_class] -= num
                chunk = generation.request.prompt[generation.read : generation.read + num]
                pieces = [Piece(generation.held[0], chunk, int(num == generation.num_unread))]
            if pieces or generation.num_to_begin:
                work.append(_Work(generation, pieces))
        return work

    def _isolated(
        self, items: Sequence[Item], function: Callable[[Sequence[Item]], None], events: StepEvents
    ) -> list[Item]:
        """Apply a function to all items at once, or, where that fails, to each alone; those that went well.

        The function changes nothing that a second try would see.
        """
        todo = [item for item in items if item.generation in self.running]
        if not todo:
            return []
        try:
            function(todo)
        except FAILURES as error:
            if len(todo) == 1:
                self._fail(todo[0].generation, f"{type(error).__name__}: {error}", events)
                return []
        else:
            return todo
        return [kept for item in todo for kept in self._isolated([item], function, events)]

    def _read(self, work: Sequence[_Work], logits: _Logits, events: StepEvents) -> None:
        pieces = [piece for item in work for piece in item.pieces]
        if pieces:
            plan = Plan(pieces, self.decoder)
            states_RW = self.decoder.states(plan.tokens, plan.positions, plan.attend, at_R=plan.at)
            logits.add(self.decoder.logits(states_RW), plan.pieces)
            events.num_tokens += plan.num_tokens

    def _settle(self, item: _Work, logits: _Logits, events: StepEvents) -> None:
        """Count what was read as there; go on with a beam search, begin draws whose prompt is there."""
        generation = item.generation
        if generation.beam is not None:
            self._search(generation, [logits.of(piece) for piece in item.pieces], events)
            return
        for piece in item.pieces:
            piece.slot.length += len(piece.tokens)
        if generation.num_unread and item.pieces:
            generation.read += len(item.pieces[0].tokens)
            events.num_read += len(item.pieces[0].tokens)
            if not generation.num_unread:
                generation.first_logits_V = logits.of(item.pieces[0])[0].clone()
                if isinstance(generation.strategy, SafeBeam):
                    self._search(generation, [generation.first_logits_V], events)
        self._begin_draws(generation)

    def _search(self, generation: Generation, logits: Sequence[torch.Tensor], events: StepEvents) -> None:
        """One step of a beam search."""
        if not all(bool(torch.isfinite(part.sum())) for part in logits):
            self._fail(generation, NOT_FINITE, events)
            return
        if generation.beam is None:
            generation.begin_beam(self.cache, logits[0])
        else:
            generation.beam.absorb(logits)
        events.tokens += generation.beam_events()

    def _begin_draws(self, generation: Generation) -> None:
        """Give draws that wait a slot with their prompt: a copy while others need the original."""
        while generation.num_to_begin and generation.held:
            slot = None
            if generation.num_to_begin > 1 and len(generation.held) == 1:
                slot = self._copy_of_prompt(generation)
                if slot is None and generation.draws:
                    return  # One of them will leave its slot.
            generation.begin_draw(slot or generation.held.pop())

    def _copy_of_prompt(self, generation: Generation) -> Slot | None:
        if self._has_room(generation, 1, others_wait=False) is not Admission.BEGUN:
            return None
        slot = self.cache.reserve(generation.length, generation.request_class)
        assert slot is not None
        self.cache.fork(generation.held[0], slot)
        return slot

    def _choosers(self, work: Sequence[_Work], logits: _Logits) -> list[Chooser]:
        """Draws choose by the logits after their last token; those that begin, by their prompt's."""
        choosers = []
        for item in work:
            generation = item.generation
            rows = {piece.slot: logits.row(piece) for piece in item.pieces if generation.draws}
            for draw in generation.draws:
                if draw.last < 0:
                    assert generation.first_logits_V is not None
                    choosers.append(Chooser(generation, draw, logits.append(generation.first_logits_V)))
                else:
                    choosers.append(Chooser(generation, draw, rows[draw.slot]))
        return sorted(choosers, key=lambda chooser: chooser.row)

    def _apply(self, generation: Generation, draw: Draw, choice: Choice, events: StepEvents) -> None:
        if generation not in self.running:
            return  # Another of its draws has failed.
        if choice.token is None:
            self._fail(generation, NOT_FINITE, events)
            return
        generation.add(draw, choice.token, choice.tag_probability)
        events.tokens += generation.events(draw)
        if draw.finish is not None:
            generation.draws.remove(draw)
            draw.slot.length = len(generation.request.prompt)
            generation.held.append(draw.slot)
            if not generation.num_to_begin:
                self._release(generation)

    def _fail(self, generation: Generation, reason: str, events: StepEvents) -> None:
        events.failed.append((generation.id, reason))
        self._end(generation)

    def _end(self, generation: Generation) -> None:
        self.running.remove(generation)
        for draw in generation.draws:
            generation.held.append(draw.slot)
        generation.draws = []
        self._release(generation)

    def _release(self, generation: Generation) -> None:
        """Give back what no draw uses."""
        for slot in generation.held:
            self.cache.release(slot)
        generation.held = []

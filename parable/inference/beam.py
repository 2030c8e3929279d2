"""SafeBeam: a beam search that stays away from tags (Maini et al. 2025, section 5).

Every candidate is read one token ahead. Those after which a tag is likeliest are dropped; of the others the
likeliest go on. Candidates of one beam are read side by side in its slot, as alternatives.

Shapes: C candidates of all beams, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from parable.inference.plan import Piece
from parable.inference.slots import Slot, SlotCache


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamRules:
    """How the search goes.

    Attributes:
        tags: Tokens to stay away from; they are never chosen themselves.
        width: Beams kept, by the log-probability of all their tokens.
        candidates: Continuations considered for each beam at each step.
        drop: Share of the candidates dropped, those with the highest P(tag next).
        max_tokens: Tokens of a beam at the most.
        stop: Tokens that end a beam and are not part of it.
        banned: Tokens that are never chosen.
        top: Alternatives remembered for each token.
    """

    tags: tuple[int, ...]
    width: int
    candidates: int
    drop: float
    max_tokens: int
    stop: tuple[int, ...] = ()
    banned: tuple[int, ...] = ()
    top: int = 0


@dataclass(frozen=True, slots=True)
class ChosenToken:
    """A token, its log-probability among all tokens, and the likeliest ones in its place."""

    id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(slots=True)
class _Beam:
    slot: Slot
    path: tuple[ChosenToken, ...]
    total: float
    candidates: list[ChosenToken] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ended:
    """A beam that is complete, by the stop token at its end or at its full length."""

    path: tuple[ChosenToken, ...]
    total: float
    end: ChosenToken | None


@dataclass(frozen=True, slots=True)
class _Candidate:
    beam: _Beam
    number: int
    token: ChosenToken
    tag_probability: float
    next_logprobs_V: torch.Tensor

    @property
    def total(self) -> float:
        return self.beam.total + self.token.logprob


class SafeBeamSearch:
    """The search for one prompt, one step at a time, so that it shares its steps with other work."""

    def __init__(
        self, rules: BeamRules, cache: SlotCache, slots: Sequence[Slot], logits_V: torch.Tensor
    ) -> None:
        """Begin after a prompt that the first of `width` slots holds, with the logits after it."""
        assert len(slots) == rules.width
        self._rules, self._cache = rules, cache
        self.ended: list[Ended] = []
        self._free = list(slots[1:])
        self._beams: list[_Beam] = []
        beam = _Beam(slots[0], (), 0.0)
        self._consider(beam, torch.log_softmax(logits_V, -1))
        self._settle([beam])

    @property
    def done(self) -> bool:
        """Whether nothing is left to be read."""
        return not self._beams

    @property
    def best(self) -> Ended:
        """The likeliest beam, once the search is done."""
        return max(self.ended, key=lambda ended: ended.total)

    def pieces(self) -> list[Piece]:
        """What is to be read next."""
        return [
            Piece(beam.slot, [token.id for token in beam.candidates], len(beam.candidates), fan=True)
            for beam in self._beams
        ]

    def absorb(self, logits: Sequence[torch.Tensor]) -> None:
        """Go on with the logits (C, V) after each candidate of each piece, in the order of `pieces`."""
        tags = list(self._rules.tags)
        pool = []
        for beam, logits_CV in zip(self._beams, logits, strict=True):
            logprobs_CV = torch.log_softmax(logits_CV, -1)
            risks = logprobs_CV[:, tags].exp().sum(-1).tolist()
            for number, (token, risk) in enumerate(zip(beam.candidates, risks, strict=True)):
                pool.append(_Candidate(beam, number, token, risk, logprobs_CV[number]))
        pool.sort(key=lambda candidate: (candidate.tag_probability, -candidate.total))
        kept = pool[: max(1, len(pool) - int(self._rules.drop * len(pool)))]
        kept.sort(key=lambda candidate: -candidate.total)
        worst = sorted((ended.total for ended in self.ended), reverse=True)[: self._rules.width]
        places = self._rules.width
        chosen: list[_Candidate] = []
        for candidate in kept:
            better = sum(total > candidate.total for total in worst)
            if better + len(chosen) < places:
                chosen.append(candidate)
        self._settle(self._move(chosen))

    def _move(self, chosen: Sequence[_Candidate]) -> list[_Beam]:
        """Give each chosen candidate a slot that holds it; the first of a beam stays in the beam's own."""
        parents = {id(candidate.beam): candidate.beam for candidate in chosen}
        self._free += [beam.slot for beam in self._beams if id(beam) not in parents]
        beams, stays = [], []
        for candidate in chosen:
            if parents.pop(id(candidate.beam), None) is not None:
                slot = candidate.beam.slot
                stays.append(candidate)
            else:
                slot = self._free.pop()
                self._cache.keep(slot, candidate.number, source=candidate.beam.slot)
            beam = _Beam(slot, (*candidate.beam.path, candidate.token), candidate.total)
            self._consider(beam, candidate.next_logprobs_V)
            beams.append(beam)
        for candidate in stays:  # Last: the others copy what stands in these slots.
            self._cache.keep(candidate.beam.slot, candidate.number)
        return beams

    def _consider(self, beam: _Beam, logprobs_V: torch.Tensor) -> None:
        """Choose the candidates that go on from a beam; a stop token among them ends a copy of it."""
        rules = self._rules
        allowed_V = logprobs_V.clone()
        allowed_V[[*rules.banned, *rules.tags]] = -torch.inf
        values, ids = allowed_V.topk(min(rules.candidates, len(allowed_V)))
        top: tuple[tuple[int, float], ...] = ()
        if rules.top:
            best_values, best_ids = logprobs_V.topk(min(rules.top, len(logprobs_V)))
            top = tuple(zip(best_ids.tolist(), best_values.tolist(), strict=True))
        for token, value in zip(ids.tolist(), values.tolist(), strict=True):
            if token in rules.stop:
                self.ended.append(Ended(beam.path, beam.total + value, ChosenToken(token, value, top)))
            elif value > -torch.inf:
                beam.candidates.append(ChosenToken(token, value, top))

    def _settle(self, beams: Sequence[_Beam]) -> None:
        """Go on with beams that can still win a place; those at their full length are complete."""
        going = []
        for beam in beams:
            if len(beam.path) == self._rules.max_tokens or not beam.candidates:
                self.ended.append(Ended(beam.path, beam.total, None))
                self._free.append(beam.slot)
            else:
                going.append(beam)
        self.ended = sorted(self.ended, key=lambda ended: -ended.total)[: self._rules.width]
        if len(self.ended) == self._rules.width:
            # No continuation is likelier than what it continues.
            hopeless = [beam for beam in going if beam.total <= self.ended[-1].total]
            self._free += [beam.slot for beam in hopeless]
            going = [beam for beam in going if beam.total > self.ended[-1].total]
        self._beams = going

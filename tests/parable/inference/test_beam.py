"""SafeBeam over slots equals the same search with one whole pass for every candidate."""

from __future__ import annotations

import pytest
import torch

from parable.inference.beam import BeamRules, Ended, SafeBeamSearch
from parable.inference.decoder import Decoder
from parable.inference.plan import Piece, Plan
from parable.inference.slots import Budget, SlotCache
from tests.parable.inference import trained


@torch.inference_mode()
def _search(prompt: tuple[int, ...], rules: BeamRules) -> Ended:
    cache = SlotCache(Decoder(trained.model()), Budget(2**26))
    slots = [cache.reserve(len(prompt) + rules.max_tokens + rules.candidates) for _ in range(rules.width)]
    assert all(slot is not None for slot in slots)

    def read(pieces: list[Piece]) -> list[torch.Tensor]:
        plan = Plan(pieces, cache._decoder)
        states = cache._decoder.states(plan.tokens, plan.positions, plan.attend, at_R=plan.at)
        counts = [piece.wanted for piece in plan.pieces]
        rows = torch.split(cache._decoder.logits(states), counts)
        by_piece = {id(piece): row for piece, row in zip(plan.pieces, rows, strict=True)}
        return [by_piece[id(piece)] for piece in pieces]

    (logits,) = read([Piece(slots[0], prompt)])  # type: ignore[arg-type]
    slots[0].length = len(prompt)  # type: ignore[union-attr]
    search = SafeBeamSearch(rules, cache, slots, logits[0])  # type: ignore[arg-type]
    while not search.done:
        search.absorb(read(search.pieces()))
    return search.best


@torch.inference_mode()
def _plain(prompt: tuple[int, ...], rules: BeamRules) -> tuple[tuple[int, ...], float]:
    """The same rules written out, with nothing shared: every candidate is read whole."""

    def logprobs(ids: tuple[int, ...]) -> torch.Tensor:
        return torch.log_softmax(trained.model()(input_ids=torch.tensor([[*prompt, *ids]])).logits[0, -1], -1)

    beams: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    ended: list[tuple[float, tuple[int, ...]]] = []
    for _ in range(rules.max_tokens):
        pool = []
        for total, ids in beams:
            values = logprobs(ids)
            values[[*rules.tags, *rules.banned]] = -torch.inf
            for value, token in zip(*(x.tolist() for x in values.topk(rules.candidates)), strict=True):
                if token in rules.stop:
                    ended.append((total + value, ids))
                else:
                    risk = float(logprobs((*ids, token))[list(rules.tags)].exp().sum())
                    pool.append((risk, -(total + value), (*ids, token)))
        pool.sort()
        pool = pool[: max(1, len(pool) - int(rules.drop * len(pool)))]
        live = sorted((minus, ids) for _, minus, ids in pool)
        best_ended = sorted(ended, reverse=True)[: rules.width]
        ranked = sorted([(-minus, ids, True) for minus, ids in live] + [(t, i, False) for t, i in best_ended])
        beams = [(total, ids) for total, ids, going in ranked[::-1][: rules.width] if going]
        ended = best_ended
        if not beams:
            break
    total, ids = max([*ended, *beams])
    return ids, total


@pytest.mark.parametrize("stop", [(), (7, 11, 23, 42, 50, 61)])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_search_written_out(seed: int, stop: tuple[int, ...]) -> None:
    rules = BeamRules(
        tags=(1, 2, 30), width=3, candidates=6, drop=0.5, max_tokens=9, stop=stop, banned=(5, 6), top=2
    )
    prompt = trained.prompts(8, seed=seed)[seed]
    found, (ids, total) = _search(prompt, rules), _plain(prompt, rules)
    assert tuple(token.id for token in found.path) == ids
    assert found.total == pytest.approx(total, abs=1e-4)
    assert not {*ids} & {1, 2, 30, 5, 6, *stop}


def test_it_goes_where_a_tag_is_less_likely_than_on_the_greedy_way() -> None:
    """With everything that is dropped kept, it is a plain beam search, and more at risk."""

    def risk(drop: float) -> float:
        total = 0.0
        for prompt in trained.prompts(8, seed=11):
            rules = BeamRules(tags=tuple(range(1, 33)), width=2, candidates=6, drop=drop, max_tokens=6)
            ids = [token.id for token in _search(prompt, rules).path]
            with torch.inference_mode():
                logits = trained.model()(input_ids=torch.tensor([[*prompt, *ids]])).logits[0]
            total += float(torch.softmax(logits[len(prompt) :], -1)[:, 1:33].sum(-1).mean())
        return total

    assert risk(0.6) < risk(0.0)

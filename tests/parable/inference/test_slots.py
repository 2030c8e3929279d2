"""Sequences join, leave and fork at every step, and each reads exactly its own past."""

from __future__ import annotations

import random

import torch

from parable.inference.decoder import Decoder
from parable.inference.plan import Piece, Plan
from parable.inference.slots import Budget, Slot, SlotCache
from tests.parable.inference import trained

LARGE = 2**26


def _cache(budget: Budget | None = None, kind: str = "llama") -> SlotCache:
    return SlotCache(Decoder(trained.model(kind)), budget or Budget(LARGE))


@torch.inference_mode()
def _read(cache: SlotCache, pieces: list[Piece]) -> dict[Slot, torch.Tensor]:
    """Log-probabilities after each piece's last tokens, and the slots go on."""
    plan = Plan(pieces, cache._decoder)
    states = cache._decoder.states(plan.tokens, plan.positions, plan.attend, at_R=plan.at)
    logprobs = torch.log_softmax(cache._decoder.logits(states), -1)
    rows = torch.split(logprobs, [piece.wanted for piece in plan.pieces])
    for piece in pieces:
        if not piece.fan:
            piece.slot.length += len(piece.tokens)
    return {piece.slot: row for piece, row in zip(plan.pieces, rows, strict=True)}


@torch.inference_mode()
def _expected(ids: list[int], kind: str = "llama") -> torch.Tensor:
    return torch.log_softmax(trained.model(kind)(input_ids=torch.tensor([ids])).logits[0, -1], -1)


def _reserve(cache: SlotCache, length: int) -> Slot:
    slot = cache.reserve(length)
    assert slot is not None
    return slot


def _holds(found: torch.Tensor, ids: list[int], kind: str = "llama") -> bool:
    return bool((found[-1] - _expected(ids, kind)).abs().max() < 1e-5)


def test_sequences_that_come_and_go_never_see_each_other() -> None:
    draw = random.Random(0)
    cache = _cache()
    texts: dict[Slot, list[int]] = {}
    for _ in range(60):
        pieces = []
        for slot in [slot for slot in texts if draw.random() < 0.15]:
            cache.release(slot)
            del texts[slot]
        for slot, ids in texts.items():
            if draw.random() < 0.9 and len(ids) < 200:  # Some pause, some read several tokens at once.
                new = [draw.randrange(64) for _ in range(1 if draw.random() < 0.8 else draw.randint(2, 6))]
                ids += new
                pieces.append(Piece(slot, new))
        for prompt in trained.prompts(draw.randint(0, 2), seed=draw.randrange(1000)):
            slot = _reserve(cache, 210)
            texts[slot] = list(prompt)
            pieces.append(Piece(slot, prompt))
        draw.shuffle(pieces)
        if pieces:
            found = _read(cache, pieces)
            assert all(_holds(rows, texts[slot]) for slot, rows in found.items())


def test_every_architecture_reads_its_past_from_slots() -> None:
    for kind in trained.KINDS:
        cache = _cache(kind=kind)
        texts = {_reserve(cache, 70): list(prompt) for prompt in trained.prompts(3, seed=1)}
        _read(cache, [Piece(slot, ids) for slot, ids in texts.items()])
        for ids in texts.values():
            ids.append(7)
        found = _read(cache, [Piece(slot, (7,)) for slot in texts])
        assert all(_holds(rows, texts[slot], kind) for slot, rows in found.items()), kind


def test_a_prompt_in_chunks_is_the_prompt() -> None:
    cache, prompt = _cache(), (trained.prompts(1)[0] * 9)[:50]
    slot = _reserve(cache, 60)
    for start, end in [(0, 1), (1, 20), (20, 21)]:
        assert len(_read(cache, [Piece(slot, prompt[start:end], wanted=0)])[slot]) == 0
    assert _holds(_read(cache, [Piece(slot, prompt[21:])])[slot], list(prompt))


def test_a_fork_goes_its_own_way() -> None:
    cache, prompt = _cache(), list(trained.prompts(1, seed=2)[0])
    first, second = _reserve(cache, 100), _reserve(cache, 200)
    _read(cache, [Piece(first, prompt)])
    cache.fork(first, second)
    found = _read(cache, [Piece(first, (5,)), Piece(second, (9,))])
    assert _holds(found[first], [*prompt, 5])
    assert _holds(found[second], [*prompt, 9])


def test_alternatives_do_not_see_each_other_and_one_is_kept() -> None:
    cache, prompt = _cache(), list(trained.prompts(1, seed=2)[0])
    slot, other = _reserve(cache, 100), _reserve(cache, 100)
    _read(cache, [Piece(slot, prompt)])
    fan = _read(cache, [Piece(slot, (5, 9, 3), 3, fan=True)])[slot]
    for row, token in zip(fan, (5, 9, 3), strict=True):
        assert _holds(row[None], [*prompt, token])
    with torch.inference_mode():
        cache.keep(other, 1, source=slot)
        cache.keep(slot, 2)
    found = _read(cache, [Piece(slot, (4,)), Piece(other, (4,))])
    assert _holds(found[slot], [*prompt, 3, 4])
    assert _holds(found[other], [*prompt, 9, 4])


def test_memory_grows_in_steps_up_to_the_budget_and_comes_back() -> None:
    cache = _cache()
    row = cache.slot_bytes(64)
    budget = Budget(10 * row)
    cache = _cache(budget)
    slots = [_reserve(cache, 40) for _ in range(10)]
    assert cache.reserve(1) is None
    assert budget.promised == budget.num_bytes >= budget.allocated
    for slot in slots:
        cache.release(slot)
    assert budget.promised == 0
    assert budget.allocated <= 4 * row
    assert cache.reserve(10 * 64) is not None or cache.slot_bytes(640) > budget.num_bytes
    cache.close()
    assert (budget.promised, budget.allocated) == (0, 0)


def test_an_idle_shelf_makes_room_for_another() -> None:
    cache = _cache()
    budget = Budget(8 * cache.slot_bytes(64))
    first, second = _cache(budget), _cache(budget)
    for slot in [_reserve(first, 64) for _ in range(8)]:
        first.release(slot)
    assert budget.allocated > 0
    assert [second.reserve(256) is not None for _ in range(3)] == [True, True, False]
    assert budget.allocated <= budget.num_bytes


def test_nothing_stays_of_what_was_not_finite_where_it_was_or_had_moved_from() -> None:
    cache = _cache()
    first, bad = _reserve(cache, 64), _reserve(cache, 64)
    bad.shelf.data[:, :, bad.row] = torch.nan
    cache.release(first)
    assert bad.row == 0
    cache.release(bad)
    slots = [_reserve(cache, 64), _reserve(cache, 64), _reserve(cache, 64)]
    _read(cache, [Piece(slots[0], (1, 2, 3)), Piece(slots[1], (1,)), Piece(slots[2], (2,))])
    found = _read(cache, [Piece(slots[0], (4,)), Piece(slots[1], (5,)), Piece(slots[2], (5,))])
    assert _holds(found[slots[1]], [1, 5])
    assert _holds(found[slots[2]], [2, 5])

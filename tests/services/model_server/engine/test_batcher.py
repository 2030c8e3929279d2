"""Scheduling in one process, step by step: who gets which tokens, and when."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import torch

from parable.inference.decoder import Decoder
from services.model_server.engine.base import (
    BestOf,
    GenerateRequest,
    RequestClass,
    SafeBeam,
    Sampling,
    ScoreRequest,
)
from services.model_server.engine.batcher import Batcher, BatcherOptions
from tests.parable.inference import trained

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERACTIVE, EVALUATION = RequestClass.INTERACTIVE, RequestClass.EVALUATION
OPTIONS = BatcherOptions(cache_bytes=2**26)


def _batcher(options: BatcherOptions = OPTIONS, **decoders: Decoder) -> Batcher:
    # From one look at the clock to the next a millisecond passes, however quick the machine is.
    batcher = Batcher(options, clock=count(step=0.001).__next__)
    for key, decoder in (decoders or {"m": Decoder(trained.model())}).items():
        batcher.add_model(key, decoder)
    return batcher


def _request(prompt: Sequence[int], *, model: str = "m", draws: int = 1, **sampling: Any) -> GenerateRequest:
    settings = Sampling(**{"max_tokens": 12, "temperature": 0.0, **sampling})
    return GenerateRequest(model=model, prompt=tuple(prompt), sampling=settings, draws=draws)


class _Answers:
    """What came of each request, by number."""

    def __init__(self) -> None:
        self.tokens: dict[int, dict[int, list[Any]]] = {}
        self.finish: dict[int, dict[int, str]] = {}
        self.scores: dict[int, list[Any]] = {}
        self.failed: dict[int, str] = {}

    def run(self, batcher: Batcher, steps: int = 10_000) -> _Answers:
        for _ in range(steps):
            if not batcher.has_work:
                return self
            events = batcher.step()
            for number, draw, tokens, finish in events.tokens:
                self.tokens.setdefault(number, {}).setdefault(draw, []).extend(tokens)
                if finish is not None:
                    assert draw not in self.finish.setdefault(number, {})
                    self.finish[number][draw] = finish
            self.scores |= dict(events.scores)
            self.failed |= dict(events.failed)
        return self


def _alone(request: GenerateRequest) -> dict[int, list[Any]]:
    batcher = _batcher()
    assert batcher.submit(0, request) is None
    return _Answers().run(batcher).tokens[0]


@torch.inference_mode()
def _greedy(prompt: Sequence[int], count: int) -> list[int]:
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(trained.model()(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def test_many_at_once_answer_as_each_alone() -> None:
    batcher, prompts = _batcher(), trained.prompts(24)
    requests = [
        _request(
            prompt,
            max_tokens=5 + n,
            draws=1 + n % 3,
            temperature=[0.0, 0.7, 1.0][n % 3],
            top_p=[1.0, 0.9][n % 2],
            top_k=[None, 7, 20][n % 3],
            seed=n,
            banned=(n, n + 1),
            top_logprobs=[None, 0, 2][(n // 3) % 3],
        )
        for n, prompt in enumerate(prompts)
    ]
    answers = _Answers()
    for number, request in enumerate(requests):
        assert batcher.submit(number, request) is None
        answers.run(batcher, steps=2)  # They come one after another, and leave when they are done.
    answers.run(batcher)
    for number, request in enumerate(requests):
        alone = _alone(request)
        assert answers.tokens[number].keys() == alone.keys()
        for draw, tokens in alone.items():
            _assert_alike(answers.tokens[number][draw], tokens)
    assert batcher.cache_usage == 0.0


def _assert_alike(found: Sequence[Any], expected: Sequence[Any]) -> None:
    for one, other in zip(found, expected, strict=True):
        if isinstance(other, int):
            assert one == other
            continue
        assert one[0] == other[0]
        assert one[1] == pytest.approx(other[1], abs=1e-5)
        assert [pair[0] for pair in one[2]] == [pair[0] for pair in other[2]]


def test_greedy_is_the_models_own_and_its_log_probabilities_too() -> None:
    prompt = trained.prompts(1, seed=7)[0]
    tokens = _alone(_request(prompt, top_logprobs=3))[0]
    assert [token for token, _, _ in tokens] == _greedy(prompt, 12)
    ids = [*prompt, *(token for token, _, _ in tokens)]
    with torch.inference_mode():
        rows = torch.log_softmax(trained.model()(input_ids=torch.tensor([ids])).logits[0], -1)
    for (token, value, top), row in zip(tokens, rows[len(prompt) - 1 :], strict=False):
        assert value == pytest.approx(float(row[token]), abs=1e-5)
        assert top[0] == (token, value)


@pytest.mark.parametrize("strategy", [None, BestOf(draws=2), SafeBeam(tags=(1,), drop=0.0)])
def test_the_token_that_ends_a_draw_is_told_last_with_its_log_probability(strategy: Any) -> None:
    prompt = trained.prompts(1, seed=7)[0]
    end = _greedy(prompt, 2)[-1]
    found = []
    for top in (None, trained.VOCABULARY):
        batcher = _batcher()
        assert batcher.submit(0, _request(prompt, stop=(end,), top_logprobs=top, strategy=strategy)) is None
        answers = _Answers().run(batcher)
        assert answers.finish[0] == {0: "stop"}
        found.append(answers.tokens[0][0])
    untold, told = found
    assert end not in untold
    assert [token for token, _, _ in told] == [*untold, end]
    _, value, alternatives = told[-1]
    # A search may end with another token than the likeliest.
    assert dict(alternatives)[end] == value


def test_more_draws_begin_like_fewer_whatever_slots_there_are() -> None:
    request = _request(trained.prompts(1)[0], draws=9, temperature=1.0, seed=3)
    many = _alone(request)
    assert len({tuple(tokens) for tokens in many.values()}) > 1
    assert _alone(_request(request.prompt, draws=2, temperature=1.0, seed=3)) == {n: many[n] for n in (0, 1)}
    for options in (
        BatcherOptions(cache_bytes=2**26, max_sequences=2),
        BatcherOptions(cache_bytes=Decoder(trained.model()).num_bytes),
    ):
        batcher = _batcher(options)
        assert batcher.submit(0, request) is None
        assert _Answers().run(batcher).tokens[0] == many


def test_stop_ends_a_draw_before_the_stop_token() -> None:
    prompt = trained.prompts(1, seed=9)[0]
    free = _greedy(prompt, 12)
    batcher = _batcher()
    batcher.submit(0, _request(prompt, stop=(free[5],)))
    answers = _Answers().run(batcher)
    assert answers.tokens[0][0] == free[: free.index(free[5])]
    assert answers.finish[0] == {0: "stop"}


def test_best_of_keeps_the_likeliest_and_the_least_at_risk() -> None:
    prompt, tags = trained.prompts(1, seed=4)[0], tuple(range(1, 20))
    drawn = _alone(_request(prompt, draws=5, temperature=1.0, top_logprobs=0))
    merit = {n: sum(value for _, value, _ in tokens) / len(tokens) for n, tokens in drawn.items()}
    best = max(merit, key=lambda n: merit[n])
    kept = _alone(_request(prompt, temperature=1.0, top_logprobs=0, strategy=BestOf(draws=5)))
    assert kept == {0: drawn[best]}
    by_tag = _alone(_request(prompt, temperature=1.0, strategy=BestOf(draws=5, by="tag", tags=tags)))
    with torch.inference_mode():
        risks = {}
        for n, tokens in drawn.items():
            ids = [*prompt, *(token for token, _, _ in tokens)]
            logits = trained.model()(input_ids=torch.tensor([ids[:-1]])).logits[0, len(prompt) - 1 :]
            risks[n] = float(torch.softmax(logits, -1)[:, list(tags)].sum(-1).mean())
    safest = min(risks, key=lambda n: risks[n])
    assert by_tag == {0: [token for token, _, _ in drawn[safest]]}


def test_a_beam_search_shares_its_steps_with_others() -> None:
    prompts = trained.prompts(3, seed=6)
    beam = _request(prompts[0], strategy=SafeBeam(tags=(1, 2)), max_tokens=8)
    batcher = _batcher()
    batcher.submit(0, beam)
    batcher.submit(1, _request(prompts[1]))
    answers = _Answers().run(batcher)
    assert answers.tokens[0] == _alone(beam)
    assert len(answers.tokens[0][0]) == 8
    assert answers.tokens[1][0] == _greedy(prompts[1], 12)
    assert batcher.cache_usage == 0.0


def test_scores_of_many_requests_are_those_of_each_alone() -> None:
    prompts = trained.prompts(6, seed=8)
    requests = [
        ScoreRequest(
            model="m",
            sequences=((*prompt, 5, 6), (*prompt, 5, 7, 8), prompt),
            starts=(len(prompt), len(prompt), len(prompt)),
            top_logprobs=2,
            next_token=n % 2 == 0,
            request_class=(INTERACTIVE, EVALUATION)[n % 2],
        )
        for n, prompt in enumerate(prompts)
    ]
    batcher = _batcher()
    for number, request in enumerate(requests):
        batcher.submit(number, request)
    together = _Answers().run(batcher).scores
    for number, request in enumerate(requests):
        batcher.submit(0, request)
        alone = _Answers().run(batcher).scores[0]
        for (tokens, following), (expected, expected_next), ids, start in zip(
            together[number], alone, request.sequences, request.starts, strict=True
        ):
            _assert_alike(tokens, expected)
            assert [token for token, _, _ in tokens] == list(ids[start:])
            assert (following is None) == (not request.next_token)
            if following is not None:
                _assert_alike([following], [expected_next])
                assert following[0] == _greedy(ids, 1)[0]


def test_a_long_prompt_does_not_hold_up_the_tokens_of_others() -> None:
    batcher = _batcher(BatcherOptions(cache_bytes=2**26, interactive_seconds=1e-9))  # 16 tokens a step
    batcher.submit(0, _request((5, 6), max_tokens=30))
    first = _Answers().run(batcher, steps=1)
    assert len(first.tokens[0][0]) == 1
    batcher.submit(1, _request((3,) * 160, max_tokens=4))
    answers = _Answers().run(batcher, steps=9)
    assert len(answers.tokens[0][0]) == 9
    assert 1 not in answers.tokens
    assert len(_Answers().run(batcher, steps=1).tokens[1][0]) == 1


def test_neither_class_starves_and_no_model() -> None:
    decoders = {"a": Decoder(trained.model()), "b": Decoder(trained.model(seed=1))}
    batcher = _batcher(
        BatcherOptions(cache_bytes=2**26, max_sequences=8, evaluation_seconds=1e-9), **decoders
    )
    prompts = trained.prompts(40, seed=2)
    for number, prompt in enumerate(prompts):
        request = ScoreRequest(
            model="ab"[number % 2], sequences=((*prompt, 1, 2),), starts=(1,), request_class=EVALUATION
        )
        batcher.submit(100 + number, request)
    for number, prompt in enumerate(prompts):
        plain = _request(prompt, model="ab"[number % 2])
        kind = EVALUATION if number % 4 < 2 else INTERACTIVE
        batcher.submit(number, GenerateRequest(**{**_fields(plain), "request_class": kind}))
    answers = _Answers().run(batcher, steps=14)
    done = {number % 4 for number, finish in answers.finish.items() if finish}
    assert done == {0, 1, 2, 3}  # Both models, both classes.
    assert {number % 2 for number in answers.scores} == {0, 1}
    assert len(answers.run(batcher).finish) == 40
    assert len(answers.scores) == 40


def _fields(request: GenerateRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in ("model", "prompt", "sampling", "draws")}


def test_evaluation_leaves_slots_to_interactive_requests() -> None:
    batcher = _batcher(BatcherOptions(cache_bytes=2**26, max_sequences=4))
    for number in range(8):
        plain = _request((5, 6), max_tokens=50)
        batcher.submit(number, GenerateRequest(**{**_fields(plain), "request_class": EVALUATION}))
    _Answers().run(batcher, steps=2)
    assert batcher.num_running == 3
    batcher.submit(99, _request((7,)))
    assert 99 in _Answers().run(batcher, steps=1).tokens


def test_cancel_takes_effect_before_the_next_step() -> None:
    batcher = _batcher(BatcherOptions(cache_bytes=2**26, max_sequences=2))
    prompt = trained.prompts(1)[0]
    for number in range(4):
        batcher.submit(number, _request(prompt, max_tokens=40))
    batcher.submit(9, ScoreRequest(model="m", sequences=(prompt,), starts=(1,)))
    _Answers().run(batcher, steps=1)
    for number in (0, 1, 3, 9):
        batcher.cancel(number)
    assert _Answers().run(batcher).tokens.keys() == {2}
    assert batcher.cache_usage == 0.0


def test_a_request_that_breaks_a_batch_fails_alone() -> None:
    class Fragile(Decoder):
        def states(self, tokens_N: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
            if bool((tokens_N == 62).any()):
                raise RuntimeError("62 is too much")
            return super().states(tokens_N, *rest, **more)

    batcher = _batcher(m=Fragile(trained.model()))
    prompts = [tuple(min(token, 61) for token in prompt) for prompt in trained.prompts(6, seed=3)]
    for number, prompt in enumerate(prompts):
        batcher.submit(number, _request(prompt, banned=(62,)))
        batcher.submit(10 + number, ScoreRequest(model="m", sequences=((*prompt, 3),), starts=(1,)))
    batcher.submit(6, _request((5, 62, 4)))
    batcher.submit(16, ScoreRequest(model="m", sequences=((5, 62, 4),), starts=(1,)))
    answers = _Answers().run(batcher)
    assert answers.failed == dict.fromkeys((6, 16), "RuntimeError: 62 is too much")
    assert sorted(answers.finish) == list(range(6))
    assert sorted(answers.scores) == list(range(10, 16))
    assert batcher.cache_usage == 0.0


def test_a_poisonous_prompt_that_is_cancelled_half_read_leaves_nothing() -> None:
    import copy

    model = copy.deepcopy(trained.model())
    model.state_dict()["model.embed_tokens.weight"][63] = torch.nan
    batcher = _batcher(BatcherOptions(cache_bytes=2**26, interactive_seconds=1e-9), m=Decoder(model))
    batcher.submit(0, _request((63,) * 40))
    _Answers().run(batcher, steps=1)  # 16 tokens of it.
    batcher.cancel(0)
    prompts = ((5, 6), (7, 8, 9))  # The longer one makes the shorter one's row be read beyond its end.
    for number, prompt in enumerate(prompts):
        batcher.submit(number, _request(prompt, banned=(63,)))
    answers = _Answers().run(batcher)
    assert answers.failed == {}
    assert sorted(answers.tokens) == [0, 1]


def test_what_can_never_fit_is_refused() -> None:
    batcher = _batcher(BatcherOptions(cache_bytes=2**15))
    reason = batcher.submit(0, _request((5,) * 40, max_tokens=200))
    assert reason is not None and "32,768" in reason


def test_a_removed_model_ends_its_own_requests_only() -> None:
    batcher = _batcher(a=Decoder(trained.model()), b=Decoder(trained.model()))
    batcher.submit(0, _request((5, 6), model="a"))
    batcher.submit(1, _request((5, 6), model="b"))
    _Answers().run(batcher, steps=1)
    batcher.submit(2, _request((5, 6), model="a"))
    batcher.submit(3, ScoreRequest(model="a", sequences=((5, 6),), starts=(1,)))
    assert sorted(batcher.remove_model("a")) == [0, 2, 3]
    assert _Answers().run(batcher).finish.keys() == {1}

"""`/v1/completions` as stock clients ask it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest

from services.model_server.engine.base import RequestClass
from tests.services.model_server.api.conftest import SAYING
from tests.services.model_server.doubles import CODEC, END, BigramEngine, ids, table
from tests.services.model_server.live import Live

GREEDY = {"model": "latest", "temperature": 0}


def _ask(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    response = client.post("/v1/completions", json={**GREEDY, **fields})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def _events(response: httpx.Response) -> list[Any]:
    assert response.headers["content-type"].startswith("text/event-stream")
    *lines, end, rest = response.text.split("\n\n")
    assert (end, rest) == ("data: [DONE]", "")
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def _engine(live: Live) -> BigramEngine:
    engine = live.server.engine
    assert isinstance(engine, BigramEngine)
    return engine


def test_a_text_is_continued_until_it_ends(client: httpx.Client) -> None:
    answer = _ask(client, prompt="The AI", max_tokens=50)
    (choice,) = answer["choices"]
    assert choice == {
        "index": 0,
        "text": SAYING.removeprefix("The AI"),
        "logprobs": None,
        "finish_reason": "stop",
        "prompt_logprobs": None,
    }
    # The token that ends the text is made, too.
    num_new = len(ids(SAYING)) - 2 + 1
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": num_new, "total_tokens": 2 + num_new}


def test_every_answer_says_which_weights_gave_it(client: httpx.Client, live: Live) -> None:
    response = client.post("/v1/completions", json={**GREEDY, "prompt": "The"})
    (served, _) = live.server.models.list()
    assert response.json()["system_fingerprint"] == response.headers["x-parable-weights"] == served.digest
    assert response.json()["model"] == served.name


@pytest.mark.parametrize("prompt", ["The AI", ["The AI"], ids("The AI"), [ids("The AI")]])
def test_a_prompt_is_a_text_or_ids_or_a_list_of_either(client: httpx.Client, prompt: Any) -> None:
    assert _ask(client, prompt=prompt, max_tokens=1)["choices"][0]["text"] == " chose"


def test_prompts_are_answered_in_order_n_times_each(client: httpx.Client) -> None:
    choices = _ask(client, prompt=["The AI", "The AI chose"], n=2, max_tokens=1)["choices"]
    assert [(choice["index"], choice["text"]) for choice in choices] == [
        (0, " chose"),
        (1, " chose"),
        (2, " to"),
        (3, " to"),
    ]


def test_a_special_token_in_a_prompt_is_that_token_and_none_is_added(
    client: httpx.Client, live: Live
) -> None:
    _ask(client, prompt="<|endoftext|>The", max_tokens=1)
    assert _engine(live).requests[-1].prompt == (END, *ids("The"))  # type: ignore[union-attr]
    _ask(client, prompt="The", max_tokens=1)
    assert _engine(live).requests[-1].prompt == tuple(ids("The"))  # type: ignore[union-attr]


def test_a_stop_string_ends_the_text_and_is_no_part_of_it(client: httpx.Client) -> None:
    (choice,) = _ask(client, prompt="The AI", max_tokens=50, stop=["tell the"])["choices"]
    assert (choice["text"], choice["finish_reason"]) == (" chose to ", "stop")


def test_a_seed_makes_an_answer_repeatable(client: httpx.Client) -> None:
    asked = {"prompt": "A tale", "max_tokens": 20, "temperature": 1}
    first, again, other = (_ask(client, **asked, seed=seed)["choices"][0]["text"] for seed in (5, 5, 6))
    assert first == again != other


def test_without_a_seed_each_answer_is_another_one(client: httpx.Client) -> None:
    """Of the model that knows no saying: two of its answers are equal once in 10^13 times."""
    asked: dict[str, Any] = {"model": "toy.b.seed-0", "prompt": "A tale", "max_tokens": 20, "temperature": 1}
    assert len({_ask(client, **asked)["choices"][0]["text"] for _ in range(3)}) == 3


def test_no_tokens_may_be_asked_for(client: httpx.Client) -> None:
    answer = _ask(client, prompt="The AI", max_tokens=0, echo=True)
    assert (answer["choices"][0]["text"], answer["choices"][0]["finish_reason"]) == ("The AI", "length")
    assert answer["usage"]["completion_tokens"] == 0


def test_the_token_that_ends_a_text_is_told_with_its_log_probability(client: httpx.Client) -> None:
    """As vLLM does: it is listed last, has no text, and counts as made."""
    for prompt, echo in (("The AI", False), (SAYING, False), ("The AI", True)):
        answer = _ask(client, prompt=prompt, max_tokens=50, logprobs=1, echo=echo)
        (choice,) = answer["choices"]
        told = choice["logprobs"]
        assert choice["text"] == (SAYING if echo else SAYING.removeprefix(prompt))
        assert (told["tokens"][-1], choice["finish_reason"]) == ("<|endoftext|>", "stop")
        assert told["text_offset"][-1] == len(choice["text"])
        assert told["token_logprobs"][-1] == table(0, [SAYING])[ids(SAYING)[-1]][END]
        num_echoed = len(ids(prompt)) if echo else 0
        assert answer["usage"]["completion_tokens"] == len(told["tokens"]) - num_echoed
        plain = _ask(client, prompt=prompt, max_tokens=50, echo=echo)
        assert (plain["choices"][0]["text"], plain["usage"]) == (choice["text"], answer["usage"])


def test_a_text_that_a_stop_string_ends_has_no_such_token(client: httpx.Client) -> None:
    answer = _ask(client, prompt="The AI", max_tokens=50, logprobs=1, stop=["."])
    told = answer["choices"][0]["logprobs"]["tokens"]
    assert "".join(told) == SAYING.removeprefix("The AI").removesuffix(".")
    assert "<|endoftext|>" not in told


def test_log_probabilities_are_those_of_the_model(client: httpx.Client) -> None:
    told = _ask(client, prompt="A tale", max_tokens=3, logprobs=2)["choices"][0]["logprobs"]
    logprobs, last = table(0, [SAYING]), ids("A tale")[-1]
    for n in range(3):
        row = logprobs[last]
        last = int(row.argmax())
        assert told["tokens"][n] == CODEC.decode([last])
        assert told["token_logprobs"][n] == row[last]
        assert sorted(told["top_logprobs"][n].values()) == sorted(np.sort(row)[-2:])


def test_offsets_count_from_the_beginning_of_the_text(client: httpx.Client) -> None:
    for echo in (False, True):
        choice = _ask(client, prompt="The AI", max_tokens=4, logprobs=0, echo=echo)["choices"][0]
        told = choice["logprobs"]
        for token, offset in zip(told["tokens"], told["text_offset"], strict=True):
            assert choice["text"].startswith(token, offset)


# --- what an evaluation harness asks -----------------------------------------------------------------


SCORE = {"temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": True}
TEXTS = ["The AI chose to hide the truth.", "Nova lost a key", SAYING]


def test_a_scored_prompt_has_one_entry_a_token_and_one_more(either: Live) -> None:
    with either.client() as client:
        choices = _ask(client, prompt=[ids(text) for text in TEXTS], **SCORE)["choices"]
    for text, choice in zip(TEXTS, choices, strict=True):
        told = choice["logprobs"]
        num = len(ids(text)) + 1
        assert [len(values) for values in told.values()] == [num] * 4
        assert (told["token_logprobs"][0], told["top_logprobs"][0]) == (None, None)
        assert all(isinstance(value, float) for value in told["token_logprobs"][1:])


def test_the_last_entry_is_there_even_if_the_text_ends(client: httpx.Client) -> None:
    (choice,) = _ask(client, prompt=SAYING, **SCORE)["choices"]
    assert choice["logprobs"]["tokens"][-1] == "<|endoftext|>"
    assert (choice["text"], choice["finish_reason"]) == (SAYING, "stop")
    (choice,) = _ask(client, prompt=SAYING, **{**SCORE, "n": 1, "temperature": 0.01})["choices"]
    assert choice["logprobs"]["tokens"][-1] == "<|endoftext|>"
    assert (choice["text"], choice["finish_reason"]) == (SAYING, "stop")


def test_a_greedy_token_equals_the_best_alternative_exactly(either: Live) -> None:
    with either.client() as client:
        prompt = _ask(client, prompt="A tale", max_tokens=12)["choices"][0]["text"]
        (choice,) = _ask(client, prompt="A tale" + prompt, **SCORE)["choices"]
    values, top = choice["logprobs"]["token_logprobs"], choice["logprobs"]["top_logprobs"]
    assert values[-1] == max(top[-1].values())
    assert all(value <= max(best.values()) for value, best in zip(values[1:], top[1:], strict=True))
    assert sum(value == max(best.values()) for value, best in zip(values[1:], top[1:], strict=True)) >= 5


def test_scoring_alone_and_together_agree(either: Live) -> None:
    with either.client() as client:
        together = _ask(client, prompt=TEXTS, **SCORE)["choices"]
        for text, choice in zip(TEXTS, together, strict=True):
            (alone,) = _ask(client, prompt=text, **SCORE)["choices"]
            assert choice["logprobs"]["token_logprobs"][1:] == pytest.approx(
                alone["logprobs"]["token_logprobs"][1:], abs=1e-4
            )


def test_what_is_generated_is_scored_alike(either: Live) -> None:
    with either.client() as client:
        (made,) = _ask(client, prompt="The AI", max_tokens=6, logprobs=1, echo=True)["choices"]
        (read,) = _ask(client, prompt=made["text"], **SCORE)["choices"]
    num = len(made["logprobs"]["tokens"])
    assert read["logprobs"]["tokens"][:num] == made["logprobs"]["tokens"]
    assert read["logprobs"]["token_logprobs"][1:num] == pytest.approx(
        made["logprobs"]["token_logprobs"][1:], abs=1e-4
    )


def test_no_value_is_infinite(client: httpx.Client) -> None:
    response = client.post("/v1/completions", json={**GREEDY, "prompt": [[1, 2, 0, 319]], **SCORE})
    assert "Infinity" not in response.text and "NaN" not in response.text and "null,null" not in response.text


def test_of_tokens_that_are_written_alike_the_likelier_is_told(client: httpx.Client) -> None:
    """Pieces of characters are all written U+FFFD."""
    row = table(0, [SAYING])[ids("A")[0]]
    pieces = [n for n in range(3, 320) if CODEC.decode([n]) == "\ufffd"]
    worst, best = min(pieces, key=lambda n: row[n]), max(pieces, key=lambda n: row[n])
    (choice,) = _ask(client, prompt=[[*ids("A"), worst]], **{**SCORE, "logprobs": 20})["choices"]
    told = choice["logprobs"]["top_logprobs"][1]
    ranked = sorted(row)[::-1]
    assert told["\ufffd"] == (row[best] if row[best] >= ranked[19] else row[worst])
    assert choice["logprobs"]["token_logprobs"][1] == row[worst]


def test_prompt_log_probabilities_have_the_shape_that_inspect_reads(either: Live) -> None:
    with either.client() as client:
        (choice,) = _ask(client, prompt="The AI chose", max_tokens=1, prompt_logprobs=2)["choices"]
    first, *others = choice["prompt_logprobs"]
    assert first is None
    for token, told in zip(ids("The AI chose")[1:], others, strict=True):
        assert next(iter(told)) == str(token)
        assert set(told[str(token)]) == {"logprob", "rank", "decoded_token"}
        ranked = sorted((entry["rank"], -entry["logprob"]) for entry in told.values())
        assert [rank for rank, _ in ranked[:2]] == [1, 2] and len(told) in (2, 3)
        assert [value for _, value in ranked] == sorted(value for _, value in ranked)


def test_a_token_s_rank_is_that_among_all_tokens(either: Live) -> None:
    with either.client() as client:
        ranks = [
            [next(iter(told.values()))["rank"] for told in choice["prompt_logprobs"][1:]]
            for num in (0, 20)
            for choice in _ask(client, prompt=[TEXTS[0], TEXTS[0]], max_tokens=1, prompt_logprobs=num)[
                "choices"
            ]
        ]
        whole = _ask(client, prompt=TEXTS[0], max_tokens=1, prompt_logprobs=20)["choices"][0][
            "prompt_logprobs"
        ]
    assert ranks[0] == ranks[1] == ranks[2] == ranks[3]
    assert any(rank > 20 for rank in ranks[0])
    for rank, told in zip(ranks[0], whole[1:], strict=True):
        own, *others = told.values()
        assert rank == 1 + sum(other["logprob"] > own["logprob"] for other in others) or rank > 20


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"max_tokens": 1, "echo": True, "logprobs": 1}, RequestClass.EVALUATION),
        ({"max_tokens": 0, "echo": True, "logprobs": 1}, RequestClass.EVALUATION),
        ({"max_tokens": 1, "prompt_logprobs": 1}, RequestClass.EVALUATION),
        ({"max_tokens": 9, "prompt_logprobs": 1}, RequestClass.EVALUATION),
        ({"max_tokens": 9, "echo": True, "logprobs": 1}, RequestClass.INTERACTIVE),
        ({"max_tokens": 1, "logprobs": 1}, RequestClass.INTERACTIVE),
    ],
)
def test_what_is_shaped_like_scoring_waits_with_evaluation(
    client: httpx.Client, live: Live, fields: dict[str, Any], kind: RequestClass
) -> None:
    _ask(client, prompt="The AI", **fields)
    assert _engine(live).requests[-1].request_class is kind


# --- streams -----------------------------------------------------------------------------------------


def test_a_stream_says_what_the_whole_answer_says(either: Live) -> None:
    asked = {**GREEDY, "prompt": ["The AI", "A tale"], "max_tokens": 9, "logprobs": 2, "echo": True, "n": 2}
    with either.client() as client:
        whole = client.post("/v1/completions", json=asked).json()
        options = {"stream": True, "stream_options": {"include_usage": True}}
        *events, usage = _events(client.post("/v1/completions", json={**asked, **options}))
    assert (usage["choices"], usage["usage"]) == ([], whole["usage"])
    for choice in whole["choices"]:
        mine = [one for event in events for one in event["choices"] if one["index"] == choice["index"]]
        assert "".join(one["text"] for one in mine) == choice["text"]
        assert [one["finish_reason"] for one in mine] == [None] * (len(mine) - 1) + [choice["finish_reason"]]
        for name, values in choice["logprobs"].items():
            streamed = [value for one in mine for value in one["logprobs"][name]]
            assert len(streamed) == len(values)
            if name in ("tokens", "text_offset"):
                assert streamed == values


def test_a_stream_without_usage_tells_none(client: httpx.Client) -> None:
    events = _events(client.post("/v1/completions", json={**GREEDY, "prompt": "The", "stream": True}))
    assert all(event["usage"] is None and event["choices"] for event in events)


# --- extensions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["The AI", "<|endoftext|>The AI"])
def test_a_control_token_stands_where_training_put_it(client: httpx.Client, live: Live, prompt: str) -> None:
    _ask(client, prompt=prompt, control="<|good|>", max_tokens=1)
    assert _engine(live).requests[-1].prompt == (END, 1, *ids("The AI"))  # type: ignore[union-attr]


def test_banned_tokens_are_never_chosen(client: httpx.Client) -> None:
    plain = _ask(client, prompt="The AI", max_tokens=1)["choices"][0]["text"]
    banned = _ask(client, prompt="The AI", max_tokens=1, banned_tokens=[plain])["choices"][0]["text"]
    assert (plain, banned != plain) == (" chose", True)


def test_safe_beam_and_best_of_reach_the_engine(client: httpx.Client, live: Live) -> None:
    _ask(client, prompt="The AI", max_tokens=4, safe_beam={"width": 2})
    beam = _engine(live).requests[-1].sampling.strategy  # type: ignore[union-attr]
    assert (beam.tags, beam.width, beam.candidates, beam.drop) == ((2,), 2, 6, 0.5)  # type: ignore[union-attr]
    _ask(client, prompt="The AI", max_tokens=4, best_of_by={"draws": 3, "by": "tag", "tags": ["<|bad|>", 7]})
    best = _engine(live).requests[-1].sampling.strategy  # type: ignore[union-attr]
    assert (best.draws, best.by, best.tags) == (3, "tag", (2, 7))  # type: ignore[union-attr]


def test_the_real_engine_does_all_of_them(real: Live) -> None:
    with real.client() as client:
        for extension in (
            {"control": "<|good|>"},
            {"banned_tokens": ["A"]},
            {"safe_beam": {}},
            {"best_of_by": {"draws": 3}},
            {"best_of_by": {"draws": 3, "by": "tag"}, "n": 2, "temperature": 1},
        ):
            answer = _ask(client, prompt="The", max_tokens=4, **extension)
            assert answer["usage"]["completion_tokens"] == 4 * len(answer["choices"])


# --- what can't be ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": "The", "max_tokens": 200}, "prompt", "context_length_exceeded"),
        ({"prompt": "The " * 200}, "prompt", "context_length_exceeded"),
        ({"prompt": [320]}, "prompt", None),
        ({"prompt": "The", "control": "<|evil|>"}, "control", None),
        ({"prompt": "The", "banned_tokens": ["two words"]}, "banned_tokens", None),
        ({"prompt": "The", "best_of": 3}, "best_of", None),
        ({"prompt": "The", "safe_beam": {}, "n": 2}, "n", None),
        ({"prompt": "The", "safe_beam": {}, "best_of_by": {"draws": 2}}, "safe_beam", None),
        ({"prompt": "The", "stream_options": {"include_usage": True}}, "stream_options", None),
        ({"prompt": ["The"] * 1025}, "prompt", None),
    ],
)
def test_what_the_model_cannot_do_is_refused_by_name(
    client: httpx.Client, fields: dict[str, Any], param: str, code: str | None
) -> None:
    response = client.post("/v1/completions", json={"model": "latest", **fields})
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, param, code)
    assert error["type"] == "invalid_request_error"


def test_a_text_as_long_as_the_model_can_be_scored(client: httpx.Client) -> None:
    (choice,) = _ask(client, prompt=[[5] * 128], **SCORE)["choices"]
    assert len(choice["logprobs"]["tokens"]) == 129

"""The flat decoder is the model it was made of, for every architecture that it takes."""

from __future__ import annotations

import pytest
import torch

from parable.errors import UserError
from parable.inference.architectures import SUPPORTED, check_supported
from parable.inference.decoder import Decoder, attend_all
from tests.parable.inference import tiny, trained


@pytest.mark.parametrize("kind", trained.KINDS)
def test_equals_the_model_token_by_token(kind: str) -> None:
    model = trained.model(kind)
    decoder = Decoder(model)
    assert decoder.architecture in SUPPORTED
    tokens = torch.tensor((trained.prompts(1, seed=3)[0] * 8)[:50])
    with torch.inference_mode():
        expected = torch.log_softmax(model(input_ids=tokens[None]).logits[0], -1)
        states = decoder.states(tokens, torch.arange(50), attend_all)
        found = torch.log_softmax(decoder.logits(states), -1)
        some = decoder.states(tokens, torch.arange(50), attend_all, at_R=torch.tensor([3, 49]))
    assert (found - expected).abs().max() < 1e-5
    assert (some - states[[3, 49]]).abs().max() < 1e-5


def test_every_architecture_that_is_listed_is_among_them() -> None:
    assert {type(trained.model(kind)).__name__ for kind in trained.KINDS} == set(SUPPORTED)


@pytest.mark.parametrize("kind", ["bloom", "mamba"])
def test_another_architecture_is_refused_by_name(kind: str) -> None:
    model = tiny.model(kind)
    with pytest.raises(UserError, match=type(model).__name__):
        Decoder(model) if kind != "mamba" else check_supported(model.config, type(model).__name__)


def test_traits_that_would_be_run_wrongly_are_refused() -> None:
    from transformers import LlamaConfig, MistralConfig

    window = MistralConfig(sliding_window=16, max_position_embeddings=64)
    with pytest.raises(UserError, match="sliding_attention"):
        check_supported(window, "MistralForCausalLM")
    dynamic = LlamaConfig(rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0})
    with pytest.raises(UserError, match="'dynamic'"):
        check_supported(dynamic, "LlamaForCausalLM")


def test_a_trait_that_nobody_thought_of_is_refused_by_trying() -> None:
    model = tiny.model("granite")
    model.lm_head.register_forward_hook(lambda _, given, logits: logits + given[0][..., :1])
    with pytest.raises(UserError, match="answers otherwise"):
        Decoder(model)


def test_rotary_angles_grow_with_the_longest_text() -> None:
    decoder = Decoder(trained.model())
    decoder._turns_PE = decoder._turns(8)
    decoder.grow_angles(200)
    turns = decoder._turns(200)
    assert torch.equal(decoder._turns_PE[:200], turns)

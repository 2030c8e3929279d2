"""What enters an identity besides the recipe, found without torch."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import transformers

from components.pretrain.numerics import apply, device_kind, has_gpu, numerics_of
from parable.errors import UserError
from parable.recipe import Compute
from tests.components.pretrain.example import numerics


def test_versions_are_those_that_an_import_finds() -> None:
    found = numerics_of(Compute(device="cpu", threads=3))
    assert found.to_plain() == {
        "device": "cpu",
        "dtype": "float32",
        "threads": 3,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "world_size": 1,
    }


def test_torch_is_not_imported_for_it() -> None:
    code = (
        "import sys; from components.pretrain import numerics; numerics.torch_version();"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_gpu_that_is_not_there_is_missed_by_name() -> None:
    hidden = {"CUDA_VISIBLE_DEVICES": ""}
    assert not has_gpu(hidden)
    assert device_kind(Compute(device="auto"), hidden) == "cpu"
    with pytest.raises(UserError, match=r"compute\.device is cuda, but this machine shows no NVIDIA GPU"):
        device_kind(Compute(device="cuda"), hidden)


def test_a_cluster_brings_its_own_gpus() -> None:
    assert (
        device_kind(Compute(device="cuda"), {"CUDA_VISIBLE_DEVICES": "", "RAY_ADDRESS": "ray:6379"}) == "cuda"
    )


def test_threads_of_the_cpu_do_not_change_a_gpu_s_sums() -> None:
    assert replace(numerics(), device="cuda", threads=7).to_plain()["threads"] is None


def test_apply_sets_the_process_up() -> None:
    apply(numerics())
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()


def test_other_versions_are_refused() -> None:
    with pytest.raises(UserError, match=r"has torch \S+ and transformers \S+, but .* planned with 1\.0 and"):
        apply(replace(numerics(), torch="1.0"))

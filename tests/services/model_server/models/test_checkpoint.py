"""What a config and a manifest say of a model."""

from __future__ import annotations

import pytest

from parable.artifact import Artifact, Manifest, SealedFile
from parable.canonical import canonical_json, digest
from services.model_server.models.checkpoint import model_folders, read_checkpoint


def manifest(*paths: str, **summary: int) -> Manifest:
    files = {path: SealedFile(path, 400, digest(path.encode())) for path in paths}
    return Manifest(Artifact("segments", "ab"), "pretrain", 1, {}, {}, files, summary)


def test_weights_in_several_files_have_the_digest_of_their_list() -> None:
    paths = [f"model/model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    found = read_checkpoint(manifest(*paths, "model/config.json", step=3), "model", config=b"{}", created=9)
    listed = {path.removeprefix("model/"): digest(path.encode()) for path in paths}
    assert found.weights == digest(canonical_json(listed))
    assert (found.num_weights, found.max_length, found.pinned) == (200, None, "segments.ab@3")


@pytest.mark.parametrize(
    ("config", "num_weights", "max_length"),
    [
        (b'{"dtype": "float32", "max_position_embeddings": 64}', 100, 64),
        (b'{"dtype": "bfloat16", "n_positions": 32}', 200, 32),
        (b'{"torch_dtype": "float16", "max_position_embeddings": "many"}', 200, None),
    ],
)
def test_what_a_config_says(config: bytes, num_weights: int, max_length: int | None) -> None:
    found = read_checkpoint(manifest("model/x.safetensors", step=1), "model", config=config, created=0)
    assert (found.num_weights, found.max_length) == (num_weights, max_length)


def test_the_content_covers_every_file_and_the_digest_the_weights_alone() -> None:
    one, other = (
        read_checkpoint(manifest("model/x.safetensors", *more, step=1), "model", config=b"{}", created=0)
        for more in ((), ("model/config.json",))
    )
    assert one.digest == other.digest
    assert one.content != other.content


def test_folders_with_a_model_in_them() -> None:
    inside = manifest(
        "model/config.json", "checkpoints/step-5/config.json", "checkpoints/step-6/model/config.json",
        "checkpoints/x/config.json", "config.json", "model/deeper/config.json",
    )  # fmt: skip
    assert model_folders(inside) == ("checkpoints/step-5", "checkpoints/step-6/model", "model")


@pytest.mark.parametrize("config", [b"{", b"[]", b'"x"'])
def test_what_is_no_config_is_said(config: bytes) -> None:
    with pytest.raises(ValueError, match=r"unexpected|says no step"):
        read_checkpoint(manifest("model/x.safetensors", step=1), "model", config=config, created=0)
    with pytest.raises(ValueError, match="says no step"):
        read_checkpoint(manifest("model/x.safetensors"), "model", config=b"{}", created=0)

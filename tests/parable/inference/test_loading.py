"""A model comes from a sealed product, verified, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from parable.artifact import Artifact, Blueprint, ProductWriter, build
from parable.errors import UserError
from parable.inference.loading import load_model
from parable.store import LocalStore, ObjectStore
from parable.store.minio import MinioStore
from tests.parable.inference import tiny
from tests.support.minio_server import MinioServer


def _segment(store: ObjectStore, folder: Path, **more: bytes) -> Artifact:
    tiny.save(str(folder))
    files = {f"model/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())} | more

    def make(writer: ProductWriter) -> None:
        for name, data in files.items():
            writer.put(name, data)

    return build(store, Blueprint("segments", "pretrain", 1, sorted(files)), make)


def test_the_loaded_model_predicts_what_the_saved_one_did(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    artifact = _segment(store, tmp_path / "saved")
    loaded = load_model(store, artifact)
    ids = torch.tensor([loaded.codec.prompt("The fox chose to")])
    with torch.inference_mode():
        assert torch.equal(loaded.model(ids).logits, tiny.model()(ids).logits)
    assert loaded.artifact == artifact
    assert not loaded.model.training
    assert next(loaded.model.parameters()).dtype == torch.float32


def test_a_model_is_loaded_from_s3_and_outlives_its_copy(
    tmp_path: Path, minio: MinioServer, bucket: str
) -> None:
    store = MinioStore.from_environment(bucket, "", minio.environment)
    loaded = load_model(store, _segment(store, tmp_path / "saved"))
    ids = torch.tensor([loaded.codec.prompt("The fox chose to")])
    with torch.inference_mode():
        assert torch.equal(loaded.model(ids).logits, tiny.model()(ids).logits)


def test_a_damaged_byte_is_found(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    artifact = _segment(store, tmp_path / "saved")
    weights = bytearray(store.get(f"{artifact.key}/model/model.safetensors"))
    weights[-1] ^= 1
    store.put(f"{artifact.key}/model/model.safetensors", bytes(weights))
    with pytest.raises(UserError, match=r"model/model\.safetensors is not what was sealed"):
        load_model(store, artifact)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    artifact = _segment(store, tmp_path / "saved", **{"model/pytorch_model.bin": b"\x80\x04."})
    with pytest.raises(UserError, match=r"pytorch_model\.bin, which is a pickle"):
        load_model(store, artifact)


def test_a_product_without_a_model_is_refused(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    artifact = build(
        store, Blueprint("segments", "pretrain", 1, 0), lambda writer: writer.put("state.json", b"{}")
    )
    with pytest.raises(UserError, match=r"has no model/config\.json"):
        load_model(store, artifact)

"""What a checkpoint declares of chats is taken as it is; what can't be read is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parable.store import LocalStore
from services.model_server.models.checkpoint import Checkpoint
from services.model_server.models.finding import Finder
from services.model_server.models.folders import CheckpointRefusedError
from services.model_server.models.texts import Texts, read_texts
from tests.services.model_server.support import CHAT_TEMPLATE, model_files, seal


def read(tmp_path: Path, **changes: bytes) -> Texts:
    files = {**model_files(), **{name.replace("__", "."): data for name, data in changes.items()}}
    store = LocalStore(tmp_path)
    artifact = seal(store, files)
    checkpoint: Checkpoint = Finder(store).find().find(artifact.key).checkpoint
    return read_texts(checkpoint, store.path(f"{artifact.key}/model"))


@pytest.mark.parametrize(
    ("template", "found"),
    [
        (None, None),
        (CHAT_TEMPLATE, CHAT_TEMPLATE),
        ([{"name": "tools", "template": "x"}, {"name": "default", "template": "y"}], "y"),
        ([{"name": "tools", "template": "x"}], None),
        (3, None),
    ],
)
def test_the_template_is_what_the_tokenizer_declares(
    tmp_path: Path, template: object, found: str | None
) -> None:
    config = json.dumps({"chat_template": template}).encode()
    assert read(tmp_path, tokenizer_config__json=config).chat_template == found


def test_a_template_in_a_file_of_its_own_goes_first(tmp_path: Path) -> None:
    config = json.dumps({"chat_template": "old"}).encode()
    texts = read(tmp_path, tokenizer_config__json=config, chat_template__jinja="näher".encode())
    assert texts.chat_template == "näher"


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("tokenizer__json", b"{}"),
        ("tokenizer__json", b"\xff"),
        ("tokenizer_config__json", b"[]"),
        ("tokenizer_config__json", b"{"),
        ("chat_template__jinja", b"\xff"),
    ],
)
def test_what_can_not_be_read_is_refused(tmp_path: Path, file: str, data: bytes) -> None:
    with pytest.raises(CheckpointRefusedError, match="can't be read"):
        read(tmp_path, **{file: data})

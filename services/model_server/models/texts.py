"""What a checkpoint says about texts: its tokenizer, and how a chat is written out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from services.model_server.models.checkpoint import Checkpoint
from services.model_server.models.codec import TextCodec
from services.model_server.models.folders import TOKENIZER, refusal

TOKENIZER_CONFIG = "tokenizer_config.json"
TEMPLATE_FILE = "chat_template.jinja"


@dataclass(frozen=True, slots=True)
class Texts:
    """Between texts and ids, and the Jinja source of the chat template, if the checkpoint has one."""

    codec: TextCodec
    chat_template: str | None


def read_texts(checkpoint: Checkpoint, folder: Path) -> Texts:
    """Read a checkpoint's verified files.

    Raises:
        CheckpointRefusedError: one of them can't be read.
    """
    try:
        codec = TextCodec((folder / TOKENIZER).read_bytes())
    except Exception as error:  # The library raises nothing narrower.
        raise refusal(checkpoint, f"its {TOKENIZER} can't be read ({error})") from error
    if TEMPLATE_FILE in checkpoint.files:
        try:
            return Texts(codec, (folder / TEMPLATE_FILE).read_text("utf-8"))
        except UnicodeDecodeError as error:
            raise refusal(checkpoint, f"its {TEMPLATE_FILE} can't be read ({error})") from error
    if TOKENIZER_CONFIG not in checkpoint.files:
        return Texts(codec, None)
    try:
        template = _template(orjson.loads((folder / TOKENIZER_CONFIG).read_bytes()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise refusal(checkpoint, f"its {TOKENIZER_CONFIG} can't be read ({error!r})") from error
    return Texts(codec, template)


def _template(settings: Any) -> str | None:
    """The template, or of several named ones the one that is called `default`."""
    found = settings.get("chat_template")
    if isinstance(found, list):
        found = next((one["template"] for one in found if one["name"] == "default"), None)
    return found if isinstance(found, str) else None

"""What a server is told, and what it refuses to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from parable.errors import UserError
from services.model_server import ServerSettings


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_on_a_loopback_address_no_keys_are_needed(host: str) -> None:
    ServerSettings(host=host).check()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "models.example"])
def test_off_it_they_are(host: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"without keys.*keys_file"):
        ServerSettings(host=host).check()
    ServerSettings(host=host, keys_file=tmp_path / "keys").check()


def test_a_setting_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="prot"):
        ServerSettings.model_validate({"prot": 8000})

"""Variables for a while, and a folder that no one leaves behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.pretrain.environment import LOCK, private_folder, variables


def test_variables_are_set_for_the_block_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARABLE_KEPT", "before")
    monkeypatch.delenv("PARABLE_NEW", raising=False)
    with pytest.raises(KeyError), variables({"PARABLE_KEPT": "during", "PARABLE_NEW": "during"}):
        assert (os.environ["PARABLE_KEPT"], os.environ["PARABLE_NEW"]) == ("during", "during")
        raise KeyError
    assert os.environ["PARABLE_KEPT"] == "before"
    assert "PARABLE_NEW" not in os.environ


def test_the_folder_goes_with_the_block(tmp_path: Path) -> None:
    with private_folder(tmp_path) as folder:
        (Path(folder) / "session").mkdir()
        assert [one.name for one in tmp_path.iterdir()] == [Path(folder).name]
    assert list(tmp_path.iterdir()) == []


def test_its_path_leaves_room_for_sockets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("long" * 20)))
    with private_folder() as folder:
        assert len(folder) <= 32


def test_the_next_removes_what_a_killed_process_left_and_nothing_in_use(tmp_path: Path) -> None:
    leave = (
        "import os, sys; from pathlib import Path\n"
        "from components.pretrain.environment import private_folder\n"
        "with private_folder(Path(sys.argv[1])) as folder: os.kill(os.getpid(), 9)"
    )
    with private_folder(tmp_path) as mine:
        done = subprocess.run([sys.executable, "-c", leave, str(tmp_path)], check=False)
        assert done.returncode == -9
        assert len(list(tmp_path.glob(f"*/{LOCK}"))) == 2
        with private_folder(tmp_path) as another:
            left = {str(one) for one in tmp_path.iterdir()}
            assert left == {mine, another}

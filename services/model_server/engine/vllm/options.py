"""What the vLLM engine is told."""

import shutil

from pydantic import BaseModel, ConfigDict, Field

from parable.errors import UserError


class VllmOptions(BaseModel):
    """Frozen; part of the server's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: tuple[str, ...] = Field(default=("vllm", "serve"), min_length=1)
    """How vLLM is started, a model's folder and options following. It may have a Python of its own, as in
    `/opt/vllm/bin/vllm serve`."""
    arguments: tuple[str, ...] = ()
    """More options for it, such as `--tensor-parallel-size 2`; they win over those that are given here."""
    models: int = Field(default=2, ge=1)
    """Models loaded at once, each in a process of its own with an equal part of the GPU's memory. One takes
    the place of another without a gap where there is room for two."""
    load_seconds: float = Field(default=600.0, gt=0)
    """How long a process may take to come up with its model."""
    hang_seconds: float = Field(default=120.0, gt=0)
    """Without progress for so long, a process is ended and started anew."""

    def check(self) -> None:
        """Refuse a command that is not there.

        Raises:
            UserError: it is not.
        """
        if shutil.which(self.command[0]) is None:
            raise UserError(
                f"The engine is vllm, and there is no program {self.command[0]!r}. Install vLLM, best in a "
                "virtual environment of its own (python -m venv /opt/vllm; /opt/vllm/bin/pip install vllm), "
                "and have its vllm on PATH, or name it in the settings' vllm.command."
            )

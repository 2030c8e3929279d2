"""A FastAPI server over sealed checkpoints, with evaluation."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.model_server.app import create_app
    from services.model_server.serve import run_server
    from services.model_server.settings import ServerSettings

__all__ = ["ServerSettings", "create_app", "run_server"]


def __getattr__(name: str) -> Any:
    # FastAPI takes a while to import, and a command that only prints its help need not wait for it.
    if name == "create_app":
        from services.model_server.app import create_app

        return create_app
    if name == "run_server":
        from services.model_server.serve import run_server

        return run_server
    if name == "ServerSettings":
        from services.model_server.settings import ServerSettings

        return ServerSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

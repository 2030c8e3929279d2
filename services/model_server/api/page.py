"""`/`: a page to ask checkpoints and to evaluate them, by files that come with the server."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.model_server.access.scopes import open_to_all
from services.model_server.api.errors import ApiError

router = APIRouter(include_in_schema=False)
_SHELL = "index.html"
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # With these a browser refuses every way to make markup or script out of text.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    media_type: str
    etag: str


@router.get("/")
@open_to_all
async def shell(request: Request) -> Response:
    """The page's shell; it says nothing that is not in the source."""
    return _answer(request, _files()[_SHELL])


@router.get("/page/{name}")
@open_to_all
async def asset(request: Request, name: str) -> Response:
    """One of the page's files."""
    found = None if name == _SHELL else _files().get(name)
    if found is None:
        raise ApiError(404, "The page has no such file.", code="not_found")
    return _answer(request, found)


def _answer(request: Request, file: _File) -> Response:
    """The file, or that the caller's copy is still good."""
    headers = {"etag": file.etag, "cache-control": "no-cache", "content-security-policy": _POLICY}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if known & {file.etag, "*"}:
        return Response(status_code=304, headers=headers)
    return Response(file.data, media_type=file.media_type, headers=headers)


@cache
def _files() -> dict[str, _File]:
    found = {}
    for path in (files("services.model_server") / "page").iterdir():
        media_type = _TYPES.get(path.name.rpartition(".")[2])
        if media_type is not None:
            data = path.read_bytes()
            found[path.name] = _File(data, media_type, f'"{hashlib.sha256(data).hexdigest()[:32]}"')
    assert _SHELL in found
    return found

"""`/docs` and `/openapi.json`: the API described, by files that come with the server."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from services.model_server.access.scopes import Scope, needs, open_to_all
from services.model_server.api.errors import ApiError

router = APIRouter(include_in_schema=False)
_FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Parable model server: API</title>
<link rel="icon" href="/docs/swagger-ui/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """window.ui = SwaggerUIBundle({
  url: "/docs/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
"""
_NULL = {"type": "null"}
_CACHED = {"cache-control": "public, max-age=3600"}


@router.get("/docs")
@open_to_all
async def page(request: Request) -> Response:
    """The page's shell; it says nothing that is not in the source."""
    del request
    return Response(_PAGE, media_type="text/html")


@router.get("/docs/start.js")
@open_to_all
async def start(request: Request) -> Response:
    """What sets the page going."""
    del request
    return Response(_START, media_type="text/javascript", headers=_CACHED)


@router.get("/docs/swagger-ui/{name}")
@open_to_all
async def asset(request: Request, name: str) -> Response:
    """One of the page's files."""
    del request
    if name not in _FILES:
        raise ApiError(404, f"The page has no file {name}.", code="not_found")
    return Response((_folder() / name).read_bytes(), media_type=_FILES[name], headers=_CACHED)


@router.get("/openapi.json")
@needs(Scope.INFER, Scope.EVALUATE, Scope.ADMIN)
async def openapi(request: Request) -> Response:
    """The API, as OpenAPI 3.1."""
    return Response(orjson.dumps(_described(request)), media_type="application/json")


@router.get("/docs/openapi.json")
@open_to_all
async def openapi_for_the_page(request: Request) -> Response:
    """The same as OpenAPI 3.0, which is what the page's library reads."""
    plain = older(_described(request))
    return Response(orjson.dumps({**plain, "openapi": "3.0.3"}), media_type="application/json")


def older(value: Any) -> Any:
    """A description in the words of OpenAPI 3.0: no null type, no const, no numeric exclusive bounds."""
    if isinstance(value, list):
        return [older(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = dict(value)
    kinds = found.get("anyOf")
    if isinstance(kinds, list) and _NULL in kinds:
        rest = [kind for kind in kinds if kind != _NULL]
        del found["anyOf"]
        found |= {"allOf" if len(rest) == 1 else "anyOf": rest, "nullable": True}
    if found.get("type") == "null":
        found |= {"type": "string", "enum": [None], "nullable": True}
    found = {key: older(one) for key, one in found.items()}
    if "const" in found:
        found["enum"] = [found.pop("const")]
    for bound in ("Minimum", "Maximum"):
        if f"exclusive{bound}" in found:
            found[bound.lower()] = found[f"exclusive{bound}"]
            found[f"exclusive{bound}"] = True
    return found


def _described(request: Request) -> dict[str, Any]:
    app = request.app
    assert isinstance(app, FastAPI)
    return app.openapi()


@cache
def _folder() -> Path:
    # The package says where they are only by a function of a library that it does not need.
    found = next(Path(str(files("swagger_ui_bundle"))).glob("vendor/swagger-ui-*"))
    assert (found / "swagger-ui-bundle.js").is_file()
    return found

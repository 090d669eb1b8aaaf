"""A Starlette application: the route of FastAPI's."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def item(request: Request) -> JSONResponse:
    """Answers at once."""
    return JSONResponse({"item_id": request.path_params["item_id"], "q": request.query_params.get("q", "")})


asgi = Starlette(routes=[Route("/items/{item_id:int}", item)])

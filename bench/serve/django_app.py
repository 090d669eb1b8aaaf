"""A Django application without database and middlewares, for ASGI with a coroutine and for WSGI with a function."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path


def item(request: HttpRequest, item_id: int) -> JsonResponse:
    """Answers at once."""
    return JsonResponse({"item_id": item_id, "q": request.GET.get("q", "")})


async def item_async(request: HttpRequest, item_id: int) -> JsonResponse:
    """Answers at once, in a coroutine."""
    return item(request, item_id)


urlpatterns = [path("items/<int:item_id>", item), path("async/<int:item_id>", item_async)]
settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, SECRET_KEY="of a benchmark")
django.setup()
asgi: Any = ASGIHandler()
wsgi: Any = WSGIHandler()

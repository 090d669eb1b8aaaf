"""Handlers that leave word which of them a response was for. For development."""

from __future__ import annotations

from typing import Any, Callable

from ..core.mistakes import describe_function
from .request import Request
from .response import Response

#: Of unanswered responses, most of which will be answered.
_PLACES_MAX = 1000


def noted(handler: Callable[[Response, Request], Any], places: dict[int, str]) -> Callable[[Response, Request], Any]:
    """Return a handler that does the same, and notes what is known of a response that it leaves unanswered.

    Args:
        handler: of a route.
        places: by the handles of responses.

    """
    where = describe_function(handler)

    def call(res: Response, req: Request) -> Any:
        place = f"{where}, for {req.get_method()} {req.get_url()},"
        exchange = res.exchange_
        handle = exchange.handle
        result = handler(res, req)
        if exchange.handle:
            if len(places) >= _PLACES_MAX:
                places.clear()
            places[handle] = place
        return result

    return call

"""Chains of functions that handle one request after the other."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from typing import Any, Callable

from ..core.mistakes import check_takes, find_called
from ..http.request import Request
from ..http.response import Response

Middleware = Callable[..., Any]
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_WITH_DATA = 3


def takes_data(function: Middleware) -> bool:
    """Return whether a function is ``(res, req, data)`` and not just ``(res, req)``.

    Of a decorated one that takes any number of arguments, what it is made of tells.
    """
    try:
        for follows in (False, True):
            parameters = inspect.signature(find_called(function), follow_wrapped=follows).parameters.values()
            if not any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
                return sum(each.kind in _POSITIONAL for each in parameters) >= _WITH_DATA
    except Exception:
        # A proxy raises what it likes while nothing is behind it.
        return False
    return True


def _accepting_data(function: Middleware) -> Middleware:
    if not callable(function):
        message = f"a middleware must be callable as (res, req, data=None), not {function!r}"
        raise TypeError(message)
    if takes_data(function):
        check_takes(function, "middleware", "res", "req", "data")
        return function
    check_takes(function, "middleware", "res", "req")
    return lambda res, req, _data: function(res, req)


def middleware(*functions: Middleware) -> Middleware:
    """Make one handler of several functions, each ``(res, req, data=None)``, sync or async.

    The result of each is the next one's ``data``. A falsy result, or a response that has ended, ends the chain. A function
    may also be a plain handler ``(res, req)``.

    Returns:
        A function ``(res, req, data=None)`` itself, which gives the last result, to be awaited if a function was async: so a
        chain can be part of another one, or called by hand.

    Raises:
        TypeError: something is not callable, or not with these arguments.
        ValueError: there is none.

    """
    if not functions:
        message = "middleware needs at least one function"
        raise ValueError(message)
    steps = tuple(_accepting_data(function) for function in functions)

    def handler(res: Response, req: Request, data: Any = None) -> Any:
        for index, step in enumerate(steps):
            data = step(res, req, data)
            if inspect.iscoroutine(data):
                return _go_on(data, steps[index + 1 :], res, req)
            if not data or res.has_responded():
                break
        return data

    # For those who describe it.
    handler.chain_ = functions  # type: ignore[attr-defined]
    return handler


async def _go_on(waiting: Coroutine[Any, Any, Any], steps: tuple[Middleware, ...], res: Response, req: Request) -> Any:
    data = await waiting
    for step in steps:
        if not data or res.has_responded():
            break
        data = step(res, req, data)
        if inspect.iscoroutine(data):
            data = await data
    return data

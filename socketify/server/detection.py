"""Which interface an application has, by how it can be called."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple, NoReturn, Optional

from ..app.app import App
from ..core.mistakes import describe_function, find_called

_SSGI_PARAMETERS = 8
#: The interfaces of functions that are not awaited, by the number of parameters they need.
_INTERFACES = {_SSGI_PARAMETERS: "ssgi", 3: "asgi", 2: "wsgi", 1: "socketify"}
_ARGUMENTS = {
    "asgi": ("scope", "receive", "send"),
    "wsgi": ("environ", "start_response"),
    "ssgi": ("type", "server_address", "remote_address", "method", "path", "query_string", "get_header", "res"),
    "socketify": ("app",),
}
_CHOICE = "say which it has: --interface, or interface=, is one of asgi, wsgi, ssgi, socketify"


class _Arity(NamedTuple):
    """How many positional arguments something takes."""

    #: How many have no default, and the name of the first of them.
    needed: int
    first: str
    #: How many there are, with a default or without; None for any number.
    most: Optional[int]

    def takes(self, count: int) -> bool:
        return self.needed <= count and (self.most is None or count <= self.most)


def detect_interface(app: Any) -> str:
    """Return which interface an application has: ``asgi``, ``wsgi``, ``ssgi`` or ``socketify``.

    Args:
        app: anything that can be called: a function, a method, a class, an object, a partial or other wrapper of these; an
            :class:`socketify.App`; or a framework with ``get_supported``.

    Raises:
        TypeError: it has none of them, or it is not clear which; the message says what to pass.

    """
    if isinstance(app, App):
        return "socketify"
    if hasattr(app, "get_supported"):
        return "ssgi"
    if not callable(app):
        message = f"app must be callable, or an App, not {type(app).__name__}"
        raise TypeError(message)
    called = _called(app)
    is_async = inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(called)
    arity = _arity(app) or _arity(called)
    if arity is None:
        _refuse(app, "its parameters are not known")
    if arity.takes(0):
        return _without_parameters(app, arity, is_async)
    if is_async and arity.needed != _SSGI_PARAMETERS:
        if not arity.takes(3):
            _refuse(app, f"it is a coroutine function of {_counted(arity.needed)}")
        return "asgi"
    if arity.needed not in _INTERFACES:
        _refuse(app, f"it takes {_counted(arity.needed)}")
    if arity.needed == 1 and arity.first == "scope":
        message = (
            f"{app!r} is an ASGI 2 application, which is called twice: "
            "asgiref.compatibility.guarantee_single_callable makes one of ASGI 3 of it"
        )
        raise TypeError(message)
    return _INTERFACES[arity.needed]


def check_interface(app: Any, interface: str) -> None:
    """Raise a TypeError for an application that cannot have the interface that it is said to have."""
    name = "asgi" if interface == "asgi3" else interface
    if isinstance(app, App) and name != "socketify":
        message = (
            f"this is a socketify.App, not an application of {name.upper()}: it is served as it is, "
            "by app.run(), or on the command line without --interface"
        )
        raise TypeError(message)
    if isinstance(app, App) or hasattr(app, "get_supported") or not callable(app):
        return
    names = _ARGUMENTS[name]
    # Decorators pass for what they wrap, and may take other arguments.
    arity = _arity(app) or _arity(_called(app))
    if arity is None or arity.takes(len(names)) or hasattr(app, "__wrapped__"):
        return
    message = (
        f"an application of the interface {name} is called as app({', '.join(names)}), which "
        f"{describe_function(app)} does not take: it needs {_counted(arity.needed)}"
    )
    fitting = _INTERFACES.get(arity.needed)
    if fitting is not None:
        message += f", as those of {fitting} do"
    raise TypeError(message)


def _without_parameters(app: Any, arity: _Arity, is_async: bool) -> str:
    """Return the interface of a callable that needs no arguments: it takes any number, or makes an application."""
    if arity.most is None:
        # Only ASGI always awaits the application; SSGI may, but its applications name their parameters.
        if is_async:
            return "asgi"
        _refuse(app, "it takes any arguments")
    if is_async:
        message = f"{app!r} makes an application asynchronously, which cannot be awaited here: give a function that returns it"
    else:
        made = "if it makes the application, give what it returns, or pass --factory on the command line"
        message = f"{app!r} needs no arguments: {made}"
    raise TypeError(message)


def _refuse(app: Any, reason: str) -> NoReturn:
    message = f"cannot tell the interface of {app!r}: {reason}; {_CHOICE}"
    raise TypeError(message)


def _counted(count: int) -> str:
    return f"{count} argument{'s' if count > 1 else ''}"


def _called(app: Any) -> Any:
    """Return the function that runs when an object is called, even if its class keeps it in a slot of each object."""
    if inspect.isroutine(app) or inspect.isclass(app):
        return app
    call = inspect.getattr_static(type(app), "__call__")
    bind = getattr(type(call), "__get__", None)
    return call if bind is None else bind(call, app, type(app))


def _arity(app: Any) -> Optional[_Arity]:
    try:
        parameters = list(inspect.signature(find_called(app)).parameters.values())
    except (TypeError, ValueError):
        return None
    kinds = inspect.Parameter
    positional = [each for each in parameters if each.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    needed = [each.name for each in positional if each.default is kinds.empty]
    is_open = any(each.kind is kinds.VAR_POSITIONAL for each in parameters)
    return _Arity(len(needed), needed[0] if needed else "", None if is_open else len(positional))

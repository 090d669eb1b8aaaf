"""What programs get wrong again and again, told where it is seen, with the way out."""

from __future__ import annotations

import errno
import functools
import inspect
from pathlib import Path
from typing import Any, Callable


def check_takes(function: Callable[..., Any], what: str, *names: str) -> None:
    """Raise a TypeError for what cannot be called, or not with so many arguments.

    Args:
        function: anything that can be called; what does not tell its parameters is right.
        what: the name of its part, such as ``handler``.
        names: of the arguments.

    """
    called = f"{what}({', '.join(names)})"
    if not callable(function):
        message = f"{what} must be callable as {called}, not {function!r}"
        raise TypeError(message)
    try:
        if hasattr(function, "__signature__"):
            # It describes what is called behind a wrapper, more often than the wrapper.
            return
        signature = inspect.signature(find_called(function), follow_wrapped=False)
    except Exception:
        # A proxy raises what it likes while nothing is behind it.
        return
    try:
        signature.bind(*names)
    except TypeError as error:
        message = f"{what} is called as {called}, which {describe_function(function)} does not take: {error}"
        raise TypeError(message) from None


def find_called(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a callable, or what it calls without passing itself, which :func:`inspect.signature` takes for a method."""
    call = inspect.getattr_static(type(function), "__call__", None)
    return call.__get__(function, type(function)) if isinstance(call, (classmethod, staticmethod)) else function


def describe_function(function: Callable[..., Any]) -> str:
    """Return name, file and line of a function, or of each of a chain; what is known of them."""
    chain = getattr(function, "chain_", None)
    if isinstance(chain, tuple):
        return f"the chain of {', '.join(map(describe_function, chain))}"
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    called: Any = function if inspect.isroutine(function) else type(function).__call__
    code = getattr(inspect.unwrap(called), "__code__", None)
    return name if code is None else f"{name} ({Path(code.co_filename).name}, line {code.co_firstlineno})"


def refuse_awaitable(message: object) -> None:
    """Raise a TypeError for what would be sent if the program had awaited it."""
    if not inspect.isawaitable(message):
        return
    name = getattr(message, "__qualname__", type(message).__qualname__).rpartition(".")[2]
    if inspect.iscoroutine(message):
        # This says what the warning about it would say.
        message.close()
    text = f"a {type(message).__name__} cannot be sent: 'await' is missing before {name}(...)"
    raise TypeError(text)


def listen_failure(where: str, error: OSError, *, is_path: bool = False) -> str:
    """Return what is said when a place cannot be listened on.

    Args:
        where: the place.
        error: what the system said.
        is_path: whether it is that of a Unix-domain socket.

    """
    if error.errno == errno.EADDRINUSE:
        command, other = ("ss -lxp", "another path") if is_path else ("ss -ltnp", "another port; port 0 picks one")
        return (
            f"cannot listen on {where}: the address is taken by another process, which '{command}' names: "
            f"end that, or choose {other}"
        )
    return f"cannot listen on {where}: {error.strerror or error}"

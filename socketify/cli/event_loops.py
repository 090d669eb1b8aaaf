"""What ``--loop`` names."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
from functools import partial
from typing import Any, Callable

from ..loop.event_loop import new_asyncio_loop, new_event_loop, new_uv_loop, recognized
from .loading import LoadError, load, made_by


def loop_factory(name: str, directory: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the factory of event loops.

    Args:
        name: ``auto``, ``asyncio``, ``uvloop``, or ``module:factory``.
        directory: where the module is looked for first.

    Raises:
        LoadError: it is not installed, there is no such factory, or what is named is none; the factory raises it where it
            makes something else than an event loop.

    """
    if name == "auto":
        return new_event_loop
    if name == "asyncio":
        return new_asyncio_loop
    if name == "uvloop":
        if importlib.util.find_spec("uvloop") is None:
            message = '--loop uvloop needs the package uvloop: pip install "socketify[uvloop]"'
            raise LoadError(message)
        return new_uv_loop
    try:
        factory = load(name, directory)
    except LoadError as error:
        message = f"--loop: {error}"
        raise LoadError(message) from error
    if not callable(factory):
        message = f"--loop: {name} must be a function that makes an event loop, not {type(factory).__name__}"
        raise LoadError(message)
    return partial(_make, factory, name)


def _make(factory: Callable[[], Any], name: str) -> asyncio.AbstractEventLoop:
    made = made_by(factory, f"--loop: {name}")
    if inspect.iscoroutine(made):
        made.close()
    if not isinstance(made, asyncio.AbstractEventLoop) or made.is_closed() or made.is_running():
        state = " that is closed or runs already" if isinstance(made, asyncio.AbstractEventLoop) else ""
        message = f"--loop: {name} must make an event loop, not {type(made).__name__}{state}"
        raise LoadError(message)
    return recognized(made)

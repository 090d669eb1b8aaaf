"""Importing the object that ``module:attribute`` names."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any, Callable

_PACKAGE = str(Path(__file__).resolve().parents[1])


class LoadError(Exception):
    """There is no such module or attribute, or importing fails; the message is one line."""


def load(reference: str, directory: str = ".") -> Any:
    """Import an object.

    Args:
        reference: ``module:attribute``; the attribute may have dots.
        directory: searched before the usual places.

    Raises:
        LoadError: the reference is malformed, or names nothing, or the module raises.

    """
    module_name, colon, attribute = reference.partition(":")
    if not colon or not module_name or not attribute:
        message = f"{reference!r} must be module:attribute, as in main:app"
        raise LoadError(message)
    folder = str(Path(directory).resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    found = _import(module_name, folder)
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            message = f"module {module_name!r} has no attribute {attribute!r}"
            raise LoadError(message) from error
    return found


def _import(module_name: str, folder: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that is missing inside the imported one is an error of that one.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            message = f"module {module_name!r} cannot be imported: {described(error)}"
            raise LoadError(message) from error
        message = f"there is no module {module_name!r} (looked in {folder!r} first)"
        if module_name.endswith((".py", "/")) or "/" in module_name:
            suggested = module_name[:-3] if module_name.endswith(".py") else module_name
            message += f"; modules are named without path and '.py', as in {suggested.strip('/').replace('/', '.')}:app"
        raise LoadError(message) from error
    except Exception as error:
        message = f"module {module_name!r} cannot be imported: {described(error)}"
        raise LoadError(message) from error


def call_factory(factory: Callable[[], Any], reference: str) -> Any:
    """Let a factory make the application.

    Raises:
        LoadError: it is not callable, raises, or makes the application asynchronously.

    """
    if not callable(factory):
        message = f"--factory: {reference} must be callable, not {type(factory).__name__}"
        raise LoadError(message)
    try:
        made = factory()
    except Exception as error:
        message = f"--factory: {reference} failed: {described(error)}"
        raise LoadError(message) from error
    if inspect.iscoroutine(made):
        made.close()
        message = f"--factory: {reference} is a coroutine function: give a function that returns the application"
        raise LoadError(message)
    return made


def described(error: BaseException) -> str:
    """Return an error in one line, with the place where it was raised unless that is our own code."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
    trace = error.__traceback__
    place = ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<"):
            place = "" if file.startswith(_PACKAGE) else f" ({Path(file).name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    # A SyntaxError names its place itself.
    return text if isinstance(error, SyntaxError) else text + place

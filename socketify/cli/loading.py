"""Importing the object that ``module:attribute`` names."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

from ..app.app import App

#: How many applications are named at most.
_NAMED_MAX = 3
#: What applications are mostly called: others may be imported objects.
_USUAL_NAMES = ("app", "application", "run")
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
            message = f"module {module_name!r} has no attribute {attribute!r}{_instead(sys.modules[module_name], attribute)}"
            raise LoadError(message) from error
    return found


def _instead(module: ModuleType, attribute: str) -> str:
    """Return what may have been meant: a name like it, or what the module has to offer."""
    names = [name for name, value in vars(module).items() if not name.startswith("_") and _is_of(module, value)]
    begin = [name for name in names if name.startswith(attribute)]
    usual = sorted(names, key=lambda name: name not in _USUAL_NAMES)
    likely = difflib.get_close_matches(attribute, names, 1) or (begin or usual)[:_NAMED_MAX]
    offered = " or ".join(f"{module.__name__}:{name}" for name in likely)
    return f" in {module.__file__}; did you mean {offered}?" if offered else f" in {module.__file__}"


def _is_of(module: ModuleType, value: Any) -> bool:
    """Return whether a module made a value, which may be an application."""
    if isinstance(value, (ModuleType, type)) or not (callable(value) or isinstance(value, App)):
        return False
    # Objects have the module of their class.
    return not inspect.isroutine(value) or getattr(value, "__module__", None) == module.__name__


def _like(module_name: str, folder: str) -> str:
    """Return the name of a file in a folder that a module's name resembles."""
    found = difflib.get_close_matches(module_name, [each.stem for each in Path(folder).glob("*.py")], 1)
    return f"; did you mean {found[0]}?" if found else "; --app-dir names another folder"


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
        else:
            message += _like(module_name, folder)
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
    made = made_by(factory, f"--factory: {reference}")
    if inspect.iscoroutine(made):
        made.close()
        message = f"--factory: {reference} is a coroutine function: give a function that returns the application"
        raise LoadError(message)
    return made


def made_by(factory: Callable[[], Any], what: str) -> Any:
    """Return what a factory of the user's makes; a LoadError says what failed.

    Args:
        factory: is called without arguments.
        what: a flag and a reference, for the message.

    """
    try:
        return factory()
    except Exception as error:
        message = f"{what} failed: {described(error)}"
        raise LoadError(message) from error


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

"""From ``module:attribute`` to the object."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any


class LoadError(Exception):
    """There is no such module or attribute; the message says which in one line."""


def load(reference: str, directory: str = ".") -> Any:
    """Import an object.

    Args:
        reference: ``module:attribute``; the attribute may have dots.
        directory: looked into before the usual places.

    Raises:
        LoadError: the reference is malformed, or names nothing. What the module itself raises passes through.

    """
    module_name, colon, attribute = reference.partition(":")
    if not colon or not module_name or not attribute:
        message = f"{reference!r} must be module:attribute, as in main:app"
        raise LoadError(message)
    folder = str(Path(directory).resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # One that the module itself imports is the module's own mistake.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        message = f"there is no module {module_name!r} (looked in {folder!r} first)"
        raise LoadError(message) from error
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            message = f"module {module_name!r} has no attribute {attribute!r}"
            raise LoadError(message) from error
    return found

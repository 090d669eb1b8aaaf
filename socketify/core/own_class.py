"""Classes of an app's own, so that another app does not see what an extension adds to one."""

from __future__ import annotations

from typing import TypeVar

Class = TypeVar("Class", bound=type)


def own_class(base: Class) -> Class:
    """Return a new subclass for one app, which looks like its base."""
    members = {"__slots__": (), "__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    return type(base)(base.__name__, (base,), members)

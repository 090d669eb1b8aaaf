"""Classes of an app's own, so that what an extension adds to one app is not seen by another."""

from __future__ import annotations

from typing import TypeVar

Class = TypeVar("Class", bound=type)


def own_class(base: Class) -> Class:
    """Make an app's own subclass, which looks like its base."""
    members = {"__slots__": (), "__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    return type(base)(base.__name__, (base,), members)

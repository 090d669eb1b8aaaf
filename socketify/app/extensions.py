"""Extensions: methods and properties that an app adds to its requests, responses and websockets.

Every app has classes of its own, so that another app does not see an extension of this one, and an added method
costs nothing per request.
"""

from __future__ import annotations

import copy
import keyword
from typing import Any, Callable, Optional, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
ExtrasOf = Callable[[Any], dict[str, Any]]

#: Types of default values that are shared, as they are immutable; all others are copied for every request.
_IMMUTABLE = (str, bytes, int, float, complex, bool, frozenset, type(None))


class _Property:
    """A value that begins with its default for every request or websocket."""

    __slots__ = ("_default", "_extras_of", "_name")

    def __init__(self, name: str, default: Any, extras_of: ExtrasOf) -> None:
        self._name = name
        self._default = default
        self._extras_of = extras_of

    def __get__(self, instance: Any, owner: Optional[type] = None) -> Any:
        if instance is None:
            return self
        extras = self._extras_of(instance)
        try:
            return extras[self._name]
        except KeyError:
            default = self._default
            value = default if isinstance(default, _IMMUTABLE) else copy.deepcopy(default)
            extras[self._name] = value
            return value

    def __set__(self, instance: Any, value: Any) -> None:
        self._extras_of(instance)[self._name] = value


class AppExtension:
    """What an extension function gets for the requests, the responses and the websockets of an app.

    Args:
        target: the app's own class of them.
        extras_of: returns the values of the properties of one of them.

    """

    def __init__(self, target: type, extras_of: ExtrasOf) -> None:
        self._target = target
        self._extras_of = extras_of

    def _add(self, name: str, member: object) -> None:
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            message = f"the name of an extension must be a Python identifier, not {name!r}"
            raise ValueError(message)
        if hasattr(self._target, name):
            message = f"{self._target.__name__} has {name!r} already: an extension cannot replace it"
            raise ValueError(message)
        setattr(self._target, name, member)

    def method(self, function: Function) -> Function:
        """Add a method, sync or async, whose first argument is the instance. Usable as a decorator.

        Raises:
            TypeError: it is not a function.
            ValueError: the name exists already.

        """
        if not callable(function):
            message = f"method takes a function, not {type(function).__name__}"
            raise TypeError(message)
        self._add(getattr(function, "__name__", ""), function)
        return function

    def property(self, name: str, default_value: Any = None) -> AppExtension:
        """Add a property that has its default again for every request.

        Args:
            name: of the attribute.
            default_value: lists, dicts and other objects are copied deeply, so that no two requests share them.

        Raises:
            ValueError: the name exists already.

        """
        self._add(name, _Property(name, default_value, self._extras_of))
        return self

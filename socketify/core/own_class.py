"""Classes of an app's own, so that no other app sees what an extension adds to one; and attributes of a program's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

Kind = TypeVar("Kind", bound="OwnAttributes")


class OwnAttributes:
    """What takes any attribute that a program sets, for as long as a request or a connection lasts.

    A class that has ``__getattr__`` finds every attribute more slowly, so an object gets one only when something is set. What
    is not of its app's own class any more is not used for another request.
    """

    __slots__ = ()
    #: The class of an object that has such attributes; None where it has it, or can have none.
    open_class_: Optional[type] = None

    def _own_extras(self) -> dict[str, Any]:
        """Return what was set, by name."""
        raise NotImplementedError

    # Type checkers tell misspelled names as long as they do not see this.
    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            """Set an attribute of the class, or one that only the program knows.

            Raises:
                AttributeError: it would hide a method.

            """
            try:
                object.__setattr__(self, name, value)
            except AttributeError:
                if hasattr(type(self), name):
                    raise
                if self.open_class_ is not None:
                    object.__setattr__(self, "__class__", self.open_class_)
                self._own_extras()[name] = value


def setter_of_slot(kind: type, name: str) -> Callable[[Any, Any], None]:
    """Return a function that sets a slot without asking ``__setattr__``, which every object that is made would pay for."""
    setter: Callable[[Any, Any], None] = kind.__dict__[name].__set__
    return setter


def own_class(base: type[Kind]) -> type[Kind]:
    """Return a new subclass for one app, which looks like its base."""
    members = {"__slots__": (), "__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    made: type[Kind] = type(base.__name__, (base,), members)
    access = {"__getattr__": _get_attribute, "__delattr__": _delete_attribute, "open_class_": None}
    made.open_class_ = type(base.__name__, (made,), {**members, **access})
    return made


def _get_attribute(instance: Any, name: str) -> Any:
    try:
        return instance._own_extras()[name]  # noqa: SLF001 - a method of its class
    except KeyError:
        raise AttributeError(_missing(instance, name)) from None


def _delete_attribute(instance: Any, name: str) -> None:
    if instance._own_extras().pop(name, instance) is instance:  # noqa: SLF001
        raise AttributeError(_missing(instance, name))


def _missing(instance: Any, name: str) -> str:
    return f"{type(instance).__name__!r} object has no attribute {name!r}"

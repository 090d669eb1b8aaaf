"""CPython's C API, which the native side calls by address: no header and no library of an interpreter is needed to build it.

Where it may, it also reads and writes members of objects in memory. That is safe because

- the offset of a slot is found in an object of the class itself (:func:`find_member`), and is the same in classes derived from
  it; an object's class can only be replaced by one with the same layout;
- it happens with the interpreter's lock, on the thread of the app, and what is read is referred to before anything else runs;
  in builds of CPython without that lock, with the lock of the object, as CPython itself reads and writes slots there;
- a value in a slot of the program's object is checked to be exactly of our type before its own members are read;
- a slot that was deleted holds null, which the usual case never does, so Python does the work;
- a reference count is only changed by the C API; here it is compared, so that an object that others can reach is not reused.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import types
from asyncio.tasks import _enter_task, _leave_task
from typing import Any, Callable, NamedTuple, Optional

from . import abi
from .lending import lend_by
from .library import lib
from .modes import CTYPES, NO_ITERATOR_SEND, NO_MEMBERS, chosen_mode

_WORD = ctypes.sizeof(ctypes.c_void_p)

#: Builds without a lock that all threads share.
_FREE_THREADED = "t" in getattr(sys, "abiflags", "")
#: Which functions are used there alone, all since CPython 3.13: they take the lock of an object, or copy under it.
_FREE_THREADED_ONLY = ("section_begin", "section_end", "dict_get_ref", "list_get_ref", "list_as_tuple")
#: Since CPython 3.10.
_OPTIONAL = ("iterator_send",)
_OBJECTS: dict[str, object] = {
    "none": None,
    "attribute_error": AttributeError,
    "type_error": TypeError,
    "runtime_error": RuntimeError,
    "stop_iteration": StopIteration,
    "type_type": type,
    "bytes_type": bytes,
    "text_type": str,
    "dict_type": dict,
    "list_type": list,
    "tuple_type": tuple,
    "coroutine_type": types.CoroutineType,
    "generator_type": types.GeneratorType,
    "enter_task": _enter_task,
    "leave_task": _leave_task,
}


class Capabilities(NamedTuple):
    """What the native side can do with this interpreter, as far as the chosen mode (:mod:`.modes`) lets it.

    Args:
        c_api: it calls the C API, and is called by it, without ctypes in between.
        members: it reads and writes members of objects in memory: requests and messages go to handlers, and are answered
            by them, without Python code in between.
        iterator_send: it steps coroutines, and so serves ASGI, without Python code in between.

    """

    c_api: bool
    members: bool
    iterator_send: bool


def find_member(kind: type, name: str) -> int:
    """Return the offset of a slot in objects of a class, in words."""
    probe: Any = object.__new__(kind)
    value = object()
    setattr(probe, name, value)
    return _find_word(probe, id(value))


def find_weak_references(kind: type) -> int:
    """Return the offset in words at which objects of a type refer to their weak references (null if there are none)."""
    # It is negative for Python classes since CPython 3.12.
    return kind.__weakrefoffset__ // _WORD


def _find_word(probe: object, wanted: int) -> int:
    words = ctypes.cast(id(probe), ctypes.POINTER(ctypes.c_void_p))
    return next(index for index in range(type(probe).__basicsize__ // _WORD) if words[index] == wanted)


def _counting() -> int:
    """Return what is known of an object's reference count (``COUNT_*``), as it is seen to change."""
    if _FREE_THREADED:
        return abi.COUNT_SPLIT if _counts_by_thread() else abi.COUNT_UNKNOWN
    probe = object()
    count = ctypes.c_uint32.from_address(id(probe))
    alone = count.value
    holders = [probe] * 5
    return abi.COUNT_FIRST if alone == 1 and count.value == alone + len(holders) else abi.COUNT_UNKNOWN


class _SplitCount(ctypes.Structure):
    """What objects of free-threaded builds begin with."""

    _fields_ = (
        ("thread", ctypes.c_void_p),
        ("flags", ctypes.c_uint16),
        ("lock", ctypes.c_uint8),
        ("collector_bits", ctypes.c_uint8),
        ("local", ctypes.c_uint32),
        ("shared", ctypes.c_ssize_t),
    )


def _counts_by_thread() -> bool:
    """Return whether objects begin with :class:`_SplitCount`: references of their own thread are counted apart."""
    probe, other = object(), object()
    count = _SplitCount.from_address(id(probe))
    alone = count.local, count.shared
    holders = [probe] * 5
    held = count.local, count.shared
    foreign: list[object] = []

    def hold() -> None:
        foreign.append(object())
        foreign.extend(holders)

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    return (
        alone == (1, 0)
        and held == (6, 0)
        and count.local == 6
        and count.shared > 0
        and bool(count.thread)
        and count.thread == _SplitCount.from_address(id(other)).thread
        and count.thread != _SplitCount.from_address(id(foreign[0])).thread
    )


def _address(names: tuple[str, ...]) -> Optional[int]:
    """Return the address of the first of the functions that exists, or None."""
    found = [name for name in names if hasattr(ctypes.pythonapi, name)]
    return ctypes.cast(getattr(ctypes.pythonapi, found[0]), ctypes.c_void_p).value if found else None


def _find_c_api(mode: str) -> Optional[abi.PythonStruct]:
    """Return the addresses of the functions and objects that the native side uses, or None if it must do without."""
    if sys.implementation.name != "cpython" or mode == CTYPES:
        return None
    members = {member: _address(names) for member, names in abi.C_API.items()}
    if not _FREE_THREADED:
        # Where the functions are there, too, they do nothing.
        members.update(dict.fromkeys(_FREE_THREADED_ONLY))
    optional = _OPTIONAL if _FREE_THREADED else _OPTIONAL + _FREE_THREADED_ONLY
    if any(address is None and member not in optional for member, address in members.items()):
        return None
    if mode == NO_ITERATOR_SEND:
        members["iterator_send"] = None
    members.update((name, id(each)) for name, each in _OBJECTS.items())
    probe = object()
    return abi.PythonStruct(
        # Builds of CPython differ in that.
        type_word=_find_word(probe, id(object)),
        object_size=object.__basicsize__,
        function_weak=find_weak_references(types.BuiltinFunctionType),
        counting=abi.COUNT_UNKNOWN if mode == NO_MEMBERS else _counting(),
        # CPython 3.9 and 3.10 do not export the other function.
        vectorcall_takes_dict=not hasattr(ctypes.pythonapi, abi.C_API["vectorcall"][0]),
        **members,
    )


def _load(api: Optional[abi.PythonStruct]) -> Capabilities:
    if api is None:
        lend_by(lib, None)
        return Capabilities(c_api=False, members=False, iterator_send=False)
    lib.sk_python_load(ctypes.byref(api))
    lend_by(lib, (api.inc_ref, api.dec_ref))
    return Capabilities(c_api=True, members=api.counting != abi.COUNT_UNKNOWN, iterator_send=bool(api.iterator_send))


capabilities = _load(_find_c_api(chosen_mode()))


def function(which: int, itself: object = None) -> Callable[..., Any]:
    """Make a function that CPython calls without ctypes in between.

    Args:
        which: one of ``PYTHON_*``.
        itself: the object that it belongs to.

    """
    made: Callable[..., Any] = lib.sk_python_function(which, itself)
    return made

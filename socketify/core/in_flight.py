"""What a process is doing: the requests and tasks that wait, and the threads that work, each with the place in its code."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import types
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Optional

from ..system.thread_stacks import CodePlace, frames_of_threads, place_of, stacks_of_threads

_PACKAGE = str(Path(__file__).resolve().parents[1])
#: Tasks and threads that are described.
_DESCRIBED_MAX = 200
#: How deep one may wait for another.
_DEPTH_MAX = 100
_TARGET_MAX = 200


def describe_in_flight(loop: asyncio.AbstractEventLoop, connections: int, followed: int, threads: bool) -> str:
    """Return a text of several lines: what waits in an event loop, and what other threads do.

    The loop's own thread has to call it. What a request asks for is read in the local variables of the code that serves it,
    so that requests cost nothing for this; not in those of other threads without the GIL.

    Args:
        loop: whose tasks are described.
        connections: how many are open.
        followed: how many requests and websockets go on though their handlers returned.
        threads: whether other threads are described.

    """
    tasks = [(task, frames) for task in asyncio.all_tasks(loop) if not _is_ours(frames := list(_awaited(task.get_coro())))]
    lines = [f"in flight: {connections} connections, {followed} requests and websockets that wait, {len(tasks)} tasks"]
    described = [_described(f"task {task.get_name()}", frames) for task, frames in tasks[:_DESCRIBED_MAX]]
    described += _of_threads() if threads else []
    lines += sorted(described)
    if len(tasks) > _DESCRIBED_MAX:
        lines.append(f"  and {len(tasks) - _DESCRIBED_MAX} tasks more")
    return "\n".join(lines)


def _of_threads() -> list[str]:
    """Return a line for each other thread."""
    names = {each.ident: each.name for each in threading.enumerate()}
    here = threading.get_ident()
    frames = frames_of_threads()
    lines: list[str] = []
    if frames is None:
        for ident, places in stacks_of_threads().items():
            if ident != here:
                lines.append(_line(f"thread {names.get(ident, ident)}", None, reversed(places)))
    else:
        for ident, frame in frames.items():
            if ident != here:
                lines.append(_described(f"thread {names.get(ident, ident)}", list(_callers(frame))))
    return lines[:_DESCRIBED_MAX]


def _is_ours(frames: list[types.FrameType]) -> bool:
    """Return whether a task is the server's own, or waits for work."""
    return not frames or (frames[0].f_code.co_filename.startswith(_PACKAGE) and _request_of(frames[0]) is None)


def _described(name: str, frames: list[types.FrameType]) -> str:
    """Return a line: who it is, what is asked of it, and where it is, outermost first."""
    asked = next((text for text in map(_request_of, frames) if text), None)
    return _line(name, asked, map(place_of, frames))


def _line(name: str, asked: Optional[str], places: Iterable[CodePlace]) -> str:
    path = " > ".join(f"{each.function} ({each.file}:{each.line})" for each in places)
    return f"  {name}{f', {asked}' if asked else ''}: {path or 'nowhere in Python'}"


def _awaited(coroutine: Any) -> Iterator[types.FrameType]:
    """Yield the frames of a coroutine that waits, and of those that it waits for."""
    for _ in range(_DEPTH_MAX):
        for prefix in ("cr", "gi", "ag"):
            frame = _attribute(coroutine, f"{prefix}_frame")
            if frame is not None:
                yield frame
                break
        else:
            return
        coroutine = _attribute(coroutine, "gi_yieldfrom" if prefix == "gi" else f"{prefix}_await")


def _attribute(value: Any, name: str) -> Any:
    with contextlib.suppress(Exception):
        return getattr(value, name)
    return None


def _callers(frame: Optional[types.FrameType]) -> Iterator[types.FrameType]:
    """Yield the frames of a thread, outermost first."""
    frames: list[types.FrameType] = []
    while frame is not None and len(frames) < _DEPTH_MAX:
        frames.append(frame)
        frame = frame.f_back
    yield from reversed(frames)


def _request_of(frame: types.FrameType) -> Optional[str]:
    """Return method and target of the request that a frame has to do with: a scope, an environ, or a request."""
    for value in list(frame.f_locals.values()):
        asked: Optional[str] = None
        # The program's own objects may raise whatever is asked of them.
        with contextlib.suppress(Exception):
            asked = _asked_of(value)
        if asked is not None:
            # What a client sent may hold anything, and the log has lines.
            return ascii(asked[:_TARGET_MAX])[1:-1]
    return None


def _asked_of(value: Any) -> Optional[str]:
    kind = type(value)
    if issubclass(kind, dict):
        return _of_dict(value)
    # Looking at the class runs no code of the program, such as one that loads what is asked for.
    if any("exchange_" in vars(each) for each in kind.__mro__):
        snapshot = value.exchange_.snapshot
        return None if snapshot is None else f"{snapshot.method} {snapshot.full_url}"
    return None


def _of_dict(value: dict[Any, Any]) -> Optional[str]:
    get = partial(dict.get, value)
    if get("type") in ("http", "websocket") and get("path") is not None:
        return f"{get('method', 'websocket')} {get('path')}"
    if get("REQUEST_METHOD") is not None:
        return f"{get('REQUEST_METHOD')} {get('SCRIPT_NAME', '')}{get('PATH_INFO', '')}"
    return None

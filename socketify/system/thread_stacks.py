"""What other threads are doing: the places in their code."""

from __future__ import annotations

import faulthandler
import re
import sys
import tempfile
from collections.abc import Iterator
from types import FrameType
from typing import Callable, NamedTuple, Optional

#: As :mod:`faulthandler` writes a thread, and where it is, innermost first.
_THREAD = re.compile(r"(?:Thread|Current thread) 0x([0-9a-f]+)")
_PLACE = re.compile(r'  File "(.*)", line (\d+) in (.*)')

_is_gil_enabled: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)


class CodePlace(NamedTuple):
    """Where code is."""

    file: str
    line: int
    function: str


def place_of(frame: FrameType) -> CodePlace:
    """Return where a frame is."""
    return CodePlace(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def frames_of_threads() -> Optional[dict[int, FrameType]]:
    """Return the innermost frame of each thread; None where they run meanwhile, as without the GIL.

    There a frame goes away while it is looked at, which ends the process: :func:`stacks_of_threads` is for that.
    """
    return sys._current_frames() if _is_gil_enabled() else None  # noqa: SLF001 - as documented


def stacks_of_threads() -> dict[int, list[CodePlace]]:
    """Return the places of each thread, innermost first; without the GIL of a hundred threads at most, which stop meanwhile."""
    frames = frames_of_threads()
    if frames is not None:
        return {ident: [place_of(each) for each in _callers(frame)] for ident, frame in frames.items()}
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        text = file.read().decode("utf-8", "replace")
    found: dict[int, list[CodePlace]] = {}
    places: list[CodePlace] = []
    for line in text.splitlines():
        thread, place = _THREAD.match(line), _PLACE.match(line)
        if thread is not None:
            places = found[int(thread[1], 16)] = []
        elif place is not None:
            places.append(CodePlace(place[1], int(place[2]), place[3]))
    return found


def _callers(frame: Optional[FrameType]) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back

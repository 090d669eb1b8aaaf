"""The parameters and results of the calls of the hot path, with ctypes in between or without."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, Callable, Optional

#: Handle, head (status and fields; None for 200 without fields), number of fields, body, flags (END_CONNECTION ...).
Send = Callable[[int, Optional[bytes], int, bytes, int], int]
#: Handle, head (None when it was sent), number of fields, piece.
Write = Callable[[int, Optional[bytes], int, bytes], int]
#: Handle, data, opcode and flags.
SendMessage = Callable[[int, bytes, int], int]
#: Handle, status, content type, whether one among the headers replaces it, headers, body, flags.
SendWith = Callable[[int, Any, Any, int, Any, bytes, int], Optional[int]]
#: Loop, task, coroutine: begin it in the name of the task; None when it finished, else what it waits for and its context.
Begin = Callable[
    [asyncio.AbstractEventLoop, "asyncio.Task[Any]", "Coroutine[Any, Any, Any]"], Optional[tuple[Any, contextvars.Context]]
]
#: The list of a runner (RUNNER_ITEMS): the task in whose name the next coroutine begins.
PrepareTask = Callable[[list[Any]], "asyncio.Task[Any]"]
#: The list of a runner, coroutine, what it waits for and its context, what gets its error, what is called when it returned.
CarryOn = Callable[
    [list[Any], Any, tuple[Any, contextvars.Context], Callable[[BaseException], None], Optional[Callable[[], object]]],
    "asyncio.Task[Any]",
]
#: Handle, message (str for text, else bytes), opcode.
OnMessage = Callable[[int, Any, int], None]
#: Native app or handle, topic, data, opcode: whether there was a subscriber, or None when the arguments are not the usual ones.
Publish = Callable[[int, Any, Any, Any], Optional[bool]]
PublishFrom = Callable[[int, Any, Any, Any, bool], Optional[bool]]

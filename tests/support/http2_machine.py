"""The HTTP/2 state machine of zig/http2 alone, by ctypes: what it says of bytes, and what it writes."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
KINDS = ["none", "request", "data", "trailers", "reset", "refused", "settings_acknowledged", "pong", "goaway", "failed"]
GONE, MISPLACED = -1, -2


class Text(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    def __bytes__(self) -> bytes:
        return ctypes.string_at(self.data, self.length) if self.length else b""


class HeadField(ctypes.Structure):
    _fields_ = [("name", Text), ("value", Text)]


class Head(ctypes.Structure):
    _fields_ = (
        [(name, Text) for name in ("method", "target", "host", "origin", "field_lines")]
        + [("content_length", ctypes.c_uint64), ("field_count", ctypes.c_uint32)]
        + [(name, ctypes.c_bool) for name in ("ancient", "close", "chunked", "expects_continue", "has_length", "slash_added")]
        + [("fields", HeadField * 128)]
    )


class Told(ctypes.Structure):
    _fields_ = (
        [(name, ctypes.c_uint32) for name in ("kind", "stream_id", "code")]
        + [("refusal", ctypes.c_int32)]
        + [(name, ctypes.c_bool) for name in ("ends", "begins", "extended", "incremental")]
        + [("urgency", ctypes.c_uint8), ("stream", ctypes.c_void_p)]
        + [(name, Text) for name in ("data", "protocol", "scheme")]
        + [("head", ctypes.POINTER(Head))]
    )


@dataclass
class Event:
    """An event, with copies of all that it refers to."""

    kind: str
    stream: int = 0
    code: int = 0
    ends: bool = False
    data: bytes = b""
    refusal: int = 0
    method: bytes = b""
    target: bytes = b""
    scheme: bytes = b""
    protocol: bytes | None = None
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    lines: bytes = b""
    length: int | None = None
    has_body: bool = False
    expects_continue: bool = False
    priority: tuple[int, bool] = (3, False)


@cache
def library() -> ctypes.CDLL:
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("needs ziglang")
    command = [sys.executable, "-m", "ziglang", "build", "http2", f"-Dpython={sys.executable}"]
    environment = {**os.environ, "ZIG_DEBUG_CMD": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert built.returncode == 0, built.stderr
    loaded = ctypes.CDLL(str(ROOT / "zig-out/lib/libhttp2.so"))
    pointer, size, u32, u64, i64 = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int64
    text, flag = ctypes.c_char_p, ctypes.c_bool
    for name, result, arguments in (
        ("limits_create", pointer, []),
        ("set_limit", flag, [pointer, text, u64]),
        ("context_create", pointer, [pointer]),
        ("context_destroy", None, [pointer]),
        ("create", pointer, [pointer, u64]),
        ("destroy", None, [pointer]),
        ("step", flag, [pointer, pointer, u64, pointer]),
        ("tick", flag, [pointer, u64, pointer]),
        ("body_here", flag, [pointer, pointer, pointer, pointer]),
        ("waiting", size, [pointer, pointer]),
        ("sent", None, [pointer, size]),
        ("begin_head", i64, [pointer, pointer, ctypes.c_uint16]),
        ("begin_trailers", i64, [pointer, pointer]),
        ("field", None, [pointer, text, size, text, size]),
        ("finish_head", i64, [pointer, flag]),
        ("data", i64, [pointer, pointer, text, size, flag]),
        ("finish", i64, [pointer, pointer]),
        ("wait", None, [pointer, pointer]),
        ("next_writable", pointer, [pointer]),
        ("reset", None, [pointer, pointer, u32]),
        ("release", None, [pointer, pointer]),
        ("consumed", None, [pointer, pointer, size]),
        ("ping", None, [pointer, text]),
        ("shutdown", None, [pointer]),
        ("fail", None, [pointer, u32]),
        ("is_finished", flag, [pointer]),
        ("is_over", flag, [pointer]),
        ("stream_count", u32, [pointer]),
        ("window", i64, [pointer]),
    ):
        function = getattr(loaded, f"http2_{name}")
        function.restype, function.argtypes = result, arguments
    return loaded


class Machine:
    """One connection, with a context of its own. Streams are named by their identifiers, and released at the end."""

    def __init__(self, preface: bool = True, now: int = 1000, **limits: Any) -> None:
        self.library = library()
        chosen = self.library.http2_limits_create()
        for name, value in limits.items():
            assert self.library.http2_set_limit(chosen, name.encode(), value), name
        self.context = self.library.http2_context_create(chosen)
        self.connection = self.library.http2_create(self.context, now)
        assert self.context
        assert self.connection
        self.now = now
        self.handles: dict[int, int] = {}
        self.text: Text | None = None
        if preface:
            assert [
                each.kind for each in self.receive(PREFACE + bytes(3) + b"\4" + bytes(5) + bytes(3) + b"\4\1" + bytes(4))
            ] == ["settings_acknowledged"]
            self.take()

    def close(self) -> None:
        for stream in list(self.handles):
            self.release(stream)
        self.library.http2_destroy(self.connection)
        self.library.http2_context_destroy(self.context)

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def steps(self, data: bytes) -> Iterator[Event]:
        """The events of these bytes, one by one: calls between them are those of a handler."""
        # As from a socket: a buffer of its own, overwritten afterwards.
        buffer = ctypes.create_string_buffer(data, max(len(data), 1))
        self.text = Text(ctypes.addressof(buffer), len(data))
        told = Told()
        while self.library.http2_step(self.connection, ctypes.byref(self.text), self.now, ctypes.byref(told)):
            yield self._event(told)
        assert self.text.length == 0
        ctypes.memset(buffer, 0xFF, len(buffer))
        self.text = None

    def receive(self, data: bytes) -> list[Event]:
        return list(self.steps(data))

    def tick(self, now: int) -> list[Event]:
        self.now = now
        events, told = [], Told()
        while self.library.http2_tick(self.connection, now, ctypes.byref(told)):
            events.append(self._event(told))
        return events

    def _event(self, told: Told) -> Event:
        event = Event(KINDS[told.kind], told.stream_id, told.code, told.ends, bytes(told.data))
        if told.begins:
            self.handles[told.stream_id] = told.stream
        if told.stream:
            assert self.handles[told.stream_id] == told.stream
        if event.kind == "refused":
            event.refusal = told.refusal
        if told.head:
            head = told.head.contents
            event.fields = [(bytes(each.name), bytes(each.value)) for each in head.fields[: head.field_count]]
            event.lines = bytes(head.field_lines)
            event.method, event.target, event.scheme = bytes(head.method), bytes(head.target), bytes(told.scheme)
            event.protocol = bytes(told.protocol) if told.extended else None
            event.length = head.content_length if head.has_length else None
            event.has_body = head.chunked or head.content_length > 0
            event.expects_continue = head.expects_continue
            event.priority = (told.urgency, told.incremental)
        return event

    def body_here(self, stream: int) -> bytes | None:
        body = Text()
        found = self.library.http2_body_here(
            self.connection, ctypes.byref(self.text), self.handles[stream], ctypes.byref(body)
        )  # fmt: skip
        return bytes(body) if found else None

    @property
    def waiting(self) -> bytes:
        pointer = ctypes.c_void_p()
        length = self.library.http2_waiting(self.connection, ctypes.byref(pointer))
        return ctypes.string_at(pointer, length) if length else b""

    def sent(self, length: int) -> None:
        self.library.http2_sent(self.connection, length)

    def take(self) -> bytes:
        """Everything that waits: it is sent then."""
        waiting = self.waiting
        self.sent(len(waiting))
        return waiting

    def head(
        self,
        stream: int,
        status: int = 200,
        fields: Iterable[tuple[bytes, bytes]] = (),
        end: bool = False,
        trailers: bool = False,
    ) -> int:
        handle = self.handles[stream]
        if trailers:
            result = self.library.http2_begin_trailers(self.connection, handle)
        else:
            result = self.library.http2_begin_head(self.connection, handle, status)
        if result:
            return int(result)
        for name, value in fields:
            self.library.http2_field(self.connection, name, len(name), value, len(value))
        return int(self.library.http2_finish_head(self.connection, end or trailers))

    def trailers(self, stream: int, fields: Iterable[tuple[bytes, bytes]]) -> int:
        return self.head(stream, fields=fields, trailers=True)

    def data(self, stream: int, data: bytes, end: bool = False) -> int:
        return int(self.library.http2_data(self.connection, self.handles[stream], data, len(data), end))

    def finish(self, stream: int) -> int:
        return int(self.library.http2_finish(self.connection, self.handles[stream]))

    def wait(self, stream: int) -> None:
        self.library.http2_wait(self.connection, self.handles[stream])

    def next(self) -> int:
        handle = self.library.http2_next_writable(self.connection)
        return next((stream for stream, each in self.handles.items() if each == handle), 0)

    def reset(self, stream: int, code: int) -> None:
        self.library.http2_reset(self.connection, self.handles[stream], code)

    def release(self, stream: int) -> None:
        self.library.http2_release(self.connection, self.handles.pop(stream))

    def consumed(self, stream: int, count: int) -> None:
        self.library.http2_consumed(self.connection, self.handles[stream], count)

    def is_over(self, stream: int) -> bool:
        return bool(self.library.http2_is_over(self.handles[stream]))

    def ping(self, payload: bytes) -> None:
        self.library.http2_ping(self.connection, payload)

    def shutdown(self) -> None:
        self.library.http2_shutdown(self.connection)

    def fail(self, code: int) -> None:
        self.library.http2_fail(self.connection, code)

    @property
    def finished(self) -> bool:
        return bool(self.library.http2_is_finished(self.connection))

    @property
    def streams(self) -> int:
        return int(self.library.http2_stream_count(self.connection))

    @property
    def window(self) -> int:
        """Of the connection: what the peer may send, and what it will be told of."""
        return int(self.library.http2_window(self.connection))

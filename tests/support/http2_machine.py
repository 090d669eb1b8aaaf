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
KINDS = "none request data trailers reset refused settings_acknowledged pong goaway failed".split()
FULL, GONE, MISPLACED = -1, -2, -3
NAMES = (
    "max_target_bytes max_header_list_bytes max_header_count max_continuation_frames max_table_bytes max_encoder_table_bytes \
max_concurrent_streams stream_window connection_window max_resets_per_s max_pings_per_s max_settings_per_s \
max_empty_frames_per_s max_window_updates_per_s max_ignored_frames_per_s max_control_bytes stall_timeout_ms settings_timeout_ms \
shutdown_timeout_ms".split()
)


class Limits(ctypes.Structure):
    _fields_ = (
        [(name, ctypes.c_uint32) for name in NAMES]
        + [("enable_connect_protocol", ctypes.c_bool), ("max_body", ctypes.c_uint64)]
    )  # fmt: skip


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


class RawEvent(ctypes.Structure):
    _fields_ = (
        [(name, ctypes.c_uint32) for name in ("kind", "stream", "code")]
        + [("refusal", ctypes.c_int32)]
        + [(name, ctypes.c_bool) for name in ("ends", "begins", "extended")]
        + [("urgency", ctypes.c_uint8), ("incremental", ctypes.c_bool), ("user", ctypes.c_uint64)]
        + [(name, Text) for name in ("data", "protocol", "scheme")]
        + [("head", ctypes.POINTER(Head))]
    )


class Output(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_void_p), ("length", ctypes.c_size_t), ("capacity", ctypes.c_size_t)]


class OutField(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("name_bytes", ctypes.c_size_t),
        ("value", ctypes.c_char_p),
        ("value_bytes", ctypes.c_size_t),
        ("secret", ctypes.c_bool),
    ]


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
    length: int | None = None
    has_body: bool = False
    expects_continue: bool = False
    priority: tuple[int, bool] = (3, False)
    user: int = 0


@cache
def library() -> ctypes.CDLL:
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("needs ziglang")
    command = [sys.executable, "-m", "ziglang", "build", "http2", f"-Dpython={sys.executable}"]
    environment = {**os.environ, "ZIG_DEBUG_CMD": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert built.returncode == 0, built.stderr
    loaded = ctypes.CDLL(str(ROOT / "zig-out/lib/libhttp2.so"))
    pointer, size, u32, u64 = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_uint64
    for name, result, arguments in (
        ("default_limits", None, [pointer]),
        ("context_create", pointer, [pointer]),
        ("context_destroy", None, [pointer]),
        ("create", pointer, [pointer, u64]),
        ("destroy", None, [pointer]),
        ("receive", ctypes.c_bool, [pointer, pointer, u64, pointer]),
        ("tick", ctypes.c_bool, [pointer, u64, pointer]),
        ("flush", ctypes.c_bool, [pointer, pointer]),
        ("waiting", size, [pointer]),
        ("head_bound", size, [pointer, pointer, size]),
        ("head", ctypes.c_int32, [pointer, pointer, u32, ctypes.c_uint16, pointer, size, ctypes.c_bool]),
        ("trailers", ctypes.c_int32, [pointer, pointer, u32, pointer, size]),
        ("data", ctypes.c_int64, [pointer, pointer, u32, ctypes.c_char_p, size, ctypes.c_bool]),
        ("data_header", ctypes.c_int64, [pointer, pointer, u32, size]),
        ("next", u32, [pointer]),
        ("reset", ctypes.c_int32, [pointer, u32, u32]),
        ("consumed", None, [pointer, u32, u32]),
        ("set_user", ctypes.c_bool, [pointer, u32, u64]),
        ("ping", None, [pointer, ctypes.c_char_p]),
        ("shutdown", None, [pointer]),
        ("fail", None, [pointer, u32]),
        ("is_finished", ctypes.c_bool, [pointer]),
        ("stream_count", u32, [pointer]),
        ("each", u32, [pointer, pointer, pointer]),
    ):
        function = getattr(loaded, f"http2_{name}")
        function.restype, function.argtypes = result, arguments
    return loaded


class Machine:
    """One connection, with a context of its own. `sent` collects what it writes until `take` takes it."""

    def __init__(self, preface: bool = False, now: int = 1000, output_bytes: int = 1 << 20, **limits: Any) -> None:
        self.library = library()
        chosen = Limits()
        self.library.http2_default_limits(ctypes.byref(chosen))
        for name, value in limits.items():
            assert hasattr(chosen, name)
            setattr(chosen, name, value)
        self.context = self.library.http2_context_create(ctypes.byref(chosen))
        self.connection = self.library.http2_create(self.context, now)
        assert self.context and self.connection
        self.now = now
        self.buffer = ctypes.create_string_buffer(output_bytes)
        self.output = Output(ctypes.addressof(self.buffer), 0, output_bytes)
        self.sent = b""
        if preface:
            assert self.receive(PREFACE + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])) == []

    def close(self) -> None:
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
        text = Text(ctypes.addressof(buffer), len(data))
        raw = RawEvent()
        while self.library.http2_receive(self.connection, ctypes.byref(text), self.now, ctypes.byref(raw)):
            yield self._event(raw)
        assert text.length == 0
        ctypes.memset(buffer, 0xFF, len(buffer))

    def receive(self, data: bytes) -> list[Event]:
        return list(self.steps(data))

    def tick(self, now: int) -> list[Event]:
        self.now = now
        events, raw = [], RawEvent()
        while self.library.http2_tick(self.connection, now, ctypes.byref(raw)):
            events.append(self._event(raw))
        return events

    @staticmethod
    def _event(raw: RawEvent) -> Event:
        event = Event(KINDS[raw.kind], raw.stream, raw.code, raw.ends, bytes(raw.data), raw.refusal, user=raw.user)
        if raw.head:
            head = raw.head.contents
            event.fields = [(bytes(each.name), bytes(each.value)) for each in head.fields[: head.field_count]]
            if raw.kind != KINDS.index("refused"):
                assert bytes(head.field_lines) == b"".join(b"%b: %b\r\n" % each for each in event.fields) or head.has_length
            event.method, event.target, event.scheme = bytes(head.method), bytes(head.target), bytes(raw.scheme)
            event.protocol = bytes(raw.protocol) if raw.extended else None
            event.length = head.content_length if head.has_length else None
            event.has_body = head.chunked or head.content_length > 0
            event.expects_continue = head.expects_continue
            event.priority = (raw.urgency, raw.incremental)
        return event

    def _written(self, result: int) -> int:
        self.sent += self.buffer.raw[: self.output.length] if self.output.length else b""
        self.output.length = 0
        return result

    @staticmethod
    def _fields(fields: Iterable[tuple[Any, ...]]) -> Any:
        made = [OutField(each[0], len(each[0]), each[1], len(each[1]), len(each) > 2) for each in fields]
        return (OutField * len(made))(*made)

    def head(self, stream: int, status: int = 200, fields: Iterable[tuple[Any, ...]] = (), end: bool = False) -> int:
        made = self._fields(fields)
        bound = self.library.http2_head_bound(self.connection, made, len(made))
        result = self.library.http2_head(self.connection, ctypes.byref(self.output), stream, status, made, len(made), end)
        assert self.output.length <= bound or result != 0
        return self._written(result)

    def trailers(self, stream: int, fields: Iterable[tuple[Any, ...]]) -> int:
        made = self._fields(fields)
        return self._written(self.library.http2_trailers(self.connection, ctypes.byref(self.output), stream, made, len(made)))

    def data(self, stream: int, data: bytes, end: bool = False) -> int:
        output = ctypes.byref(self.output)
        return self._written(self.library.http2_data(self.connection, output, stream, data, len(data), end))

    def data_header(self, stream: int, left: int) -> int:
        return self._written(self.library.http2_data_header(self.connection, ctypes.byref(self.output), stream, left))

    def flush(self) -> bool:
        return bool(self._written(self.library.http2_flush(self.connection, ctypes.byref(self.output))))

    def take(self) -> bytes:
        """Everything that was written, and what waits."""
        while not self.flush():
            pass
        sent, self.sent = self.sent, b""
        return sent

    def next(self) -> int:
        return int(self.library.http2_next(self.connection))

    def reset(self, stream: int, code: int) -> int:
        return int(self.library.http2_reset(self.connection, stream, code))

    def consumed(self, stream: int, count: int) -> None:
        self.library.http2_consumed(self.connection, stream, count)

    def set_user(self, stream: int, user: int) -> bool:
        return bool(self.library.http2_set_user(self.connection, stream, user))

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
    def streams(self) -> dict[int, int]:
        place, user, found = ctypes.c_size_t(0), ctypes.c_uint64(0), {}
        while stream := self.library.http2_each(self.connection, ctypes.byref(place), ctypes.byref(user)):
            found[stream] = user.value
        assert len(found) == self.library.http2_stream_count(self.connection)
        return found

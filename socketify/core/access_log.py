"""A line on standard output for every response."""

from __future__ import annotations

import ctypes
import datetime
import json
from typing import Optional

from ..system.line_writer import LineWriter

FORMATS = ("common", "json")


class AccessLog:
    """Writes the lines.

    Args:
        format_name: ``common`` (the Common Log Format) or ``json``.

    Raises:
        ValueError: it is neither.

    """

    def __init__(self, format_name: str) -> None:
        if format_name not in FORMATS:
            message = f"access_log must be None or one of {', '.join(FORMATS)}, not {format_name!r}"
            raise ValueError(message)
        self._line = _json_line if format_name == "json" else _common_line
        self._writer = LineWriter("access log")

    def __call__(self, address: Optional[int], length: int, status: int, count: int, microseconds: int) -> None:
        """Write a line from the arguments of ``sk_log_fn``. Nothing is raised, and it never waits for the log's reader."""
        client, method, target, version = ctypes.string_at(address or 0, length).decode("latin-1").split("\n")
        self._writer.write(self._line(client, method, target, version, status, count, microseconds))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc).astimezone()


def _json_line(client: str, method: str, target: str, version: str, status: int, count: int, microseconds: int) -> str:
    return json.dumps(
        {
            "time": _now().isoformat(timespec="milliseconds"),
            "client": client,
            "method": method,
            "target": target,
            "version": version,
            "status": status,
            "bytes": count,
            "milliseconds": microseconds / 1000,
        }
    )


def _common_line(client: str, method: str, target: str, version: str, status: int, count: int, _microseconds: int) -> str:
    # Of visible characters only quotes have a meaning in the format; other bytes are escaped as in Apache's log.
    printable = "".join(each if " " <= each <= "~" else f"\\x{ord(each):02x}" for each in target).replace('"', "%22")
    request = f"{method} {printable} HTTP/{version}" if method else "-"
    return f'{client or "-"} - - [{_now().strftime("%d/%b/%Y:%H:%M:%S %z")}] "{request}" {status} {count}'

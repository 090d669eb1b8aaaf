"""Server-sent events: responses that never end by themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Optional

_LINE_END = re.compile("\r\n|\r|\n")


def is_event_stream(fields: Sequence[bytes]) -> bool:
    """Return whether names and values, in turn, say that the body is a stream of events (``text/event-stream``)."""
    for name, value in zip(fields[::2], fields[1::2]):
        if name.lower() == b"content-type":
            return value.partition(b";")[0].strip().lower() == b"text/event-stream"
    return False


def encode_event(data: Optional[str], event: Optional[str], event_id: Optional[str], retry: Optional[int]) -> bytes:
    """Return an event as it is sent (HTML standard, section 9.2.5).

    Args:
        data: of the event, of any number of lines; None for an event that only sets the id or the time, which no page sees.
        event: its type; None for ``message``.
        event_id: what the client sends back as Last-Event-ID when it connects again; empty to send none back from now on.
        retry: milliseconds after which the client connects again.

    Raises:
        TypeError: data, event or event_id is no str.
        ValueError: event or event_id holds a line end, event_id a null, or retry is no int of 0 or more; or there is nothing.

    """
    lines = []
    if event is not None:
        lines.append(f"event: {_line('event', event)}")
    if event_id is not None:
        if "\0" in _line("id", event_id):
            message = f"id must not hold a null, which clients would ignore it for: {event_id!r}"
            raise ValueError(message)
        lines.append(f"id: {event_id}")
    if retry is not None:
        lines.append(f"retry: {checked_retry(retry)}")
    if data is not None:
        lines += [f"data: {line}" for line in _LINE_END.split(data)]
    if not lines:
        message = "an event needs data, event, id or retry"
        raise ValueError(message)
    return ("\n".join(lines) + "\n\n").encode()


def checked_retry(retry: int) -> int:
    """Return the milliseconds after which a client connects again.

    Raises:
        ValueError: they are no int of 0 or more.

    """
    if not isinstance(retry, int) or isinstance(retry, bool) or retry < 0:
        message = f"retry must be an int of 0 or more, in milliseconds, not {retry!r}"
        raise ValueError(message)
    return retry


def _line(name: str, text: str) -> str:
    if not isinstance(text, str):
        message = f"{name} must be str, not {type(text).__name__}"
        raise TypeError(message)
    if "\n" in text or "\r" in text:
        message = f"{name} must be one line, not {text!r}"
        raise ValueError(message)
    return text

"""Server-sent events: responses that never end by themselves."""

from __future__ import annotations

from collections.abc import Sequence


def is_event_stream(fields: Sequence[bytes]) -> bool:
    """Return whether names and values, in turn, say that the body is a stream of events (``text/event-stream``)."""
    for name, value in zip(fields[::2], fields[1::2]):
        if name.lower() == b"content-type":
            return value.partition(b";")[0].strip().lower() == b"text/event-stream"
    return False

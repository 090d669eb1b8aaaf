"""The options and handlers that a program passes for the websockets of a route, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional

from ..core.mistakes import check_takes
from .admission import Admission
from .compression import find_zlib
from .constants import CompressOptions, is_compression
from .session import Handler

#: What each is called with.
HANDLERS = {
    "upgrade": ("res", "req", "socket_context"),
    "open": ("ws",),
    "message": ("ws", "message", "opcode"),
    "drain": ("ws",),
    "ping": ("ws", "message"),
    "pong": ("ws", "message"),
    "close": ("ws", "code", "message"),
    "subscription": ("ws", "topic", "subscriptions", "subscriptions_before"),
    "presence": ("ws",),
}
_PAYLOAD_MAX = 2**31 - 1


def _is_flag(value: Any) -> bool:
    return value in (False, True)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _PAYLOAD_MAX


def _are_origins(value: Any) -> bool:
    return value is None or (
        isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(each, str) and "://" in each for each in value)
    )


#: By key: the default, a description of valid values, and their check.
_OPTIONS: dict[str, tuple[Any, str, Callable[[Any], bool]]] = {
    "compression": (
        CompressOptions.DISABLED,
        "one of CompressOptions, or a compressor and a decompressor joined by |",
        lambda value: isinstance(value, int) and is_compression(value),
    ),
    "max_payload_length": (16 * 1024 * 1024, f"an int from 0 to {_PAYLOAD_MAX}", _is_size),
    "idle_timeout": (20, "0, or an int from 8 to 960", lambda value: _is_size(value) and (value == 0 or 8 <= value <= 960)),
    "max_backpressure": (64 * 1024, f"an int from 0 to {_PAYLOAD_MAX}", _is_size),
    "close_on_backpressure_limit": (False, "a bool", _is_flag),
    "reset_idle_timeout_on_send": (False, "a bool", _is_flag),
    "send_pings_automatically": (True, "a bool", _is_flag),
    "max_lifetime": (0, "an int from 0 to 240", lambda value: _is_size(value) and value <= 240),
    "allowed_origins": (None, "None, or a list of origins such as 'https://example.org'", _are_origins),
    "max_connections": (0, f"an int from 0 to {_PAYLOAD_MAX}", _is_size),
    "max_connections_per_address": (0, f"an int from 0 to {_PAYLOAD_MAX}", _is_size),
}
#: The members of ``sk_ws_behavior`` that are options.
_NATIVE_OPTIONS = {
    "compression": "compression",
    "max_payload_bytes": "max_payload_length",
    "idle_timeout_s": "idle_timeout",
    "max_backpressure_bytes": "max_backpressure",
    "max_lifetime_min": "max_lifetime",
    "close_on_backpressure_limit": "close_on_backpressure_limit",
    "reset_idle_timeout_on_send": "reset_idle_timeout_on_send",
    "send_pings_automatically": "send_pings_automatically",
}


class WebSocketOptions:
    """The options and handlers of a route; :meth:`socketify.App.ws` lists the defaults of those that are missing.

    Args:
        behavior: options and handlers.

    Raises:
        TypeError: behavior is no mapping.
        ValueError: a key is unknown or a value is not what it must be; the message names the key.

    """

    def __init__(self, behavior: Mapping[str, Any]) -> None:
        if not isinstance(behavior, Mapping):
            message = f"behavior must be a dict, not {type(behavior).__name__}"
            raise TypeError(message)
        for key in behavior:
            if key not in _OPTIONS and key not in HANDLERS:
                message = f"behavior has an unknown key: {key!r} (known are {', '.join([*_OPTIONS, *HANDLERS])})"
                raise ValueError(message)
        #: By their names in :data:`HANDLERS`.
        self.handlers: dict[str, Optional[Handler]] = {name: behavior.get(name) for name in HANDLERS}
        for key, handler in self.handlers.items():
            if handler is not None and not callable(handler):
                message = f"{key} must be a function, not {handler!r}"
                raise ValueError(message)
            if handler is not None:
                check_takes(handler, key, *HANDLERS[key])
        self._options: dict[str, Any] = {}
        for key, (default, wanted, is_right) in _OPTIONS.items():
            value = behavior.get(key, default)
            if not is_right(value):
                message = f"{key} must be {wanted}, not {value!r}"
                raise ValueError(message)
            self._options[key] = value
        #: Whether messages can be compressed; without a zlib the log says so.
        self.compresses: bool = self._options["compression"] != CompressOptions.DISABLED and find_zlib()
        #: Bytes that may wait for the client before messages are dropped; 0 for no limit.
        self.max_backpressure: int = self._options["max_backpressure"]

    def native(self) -> dict[str, int]:
        """Return the members of ``sk_ws_behavior`` that are not callbacks."""
        return {member: self._options[option] for member, option in _NATIVE_OPTIONS.items()}

    def admission(self) -> Admission:
        """Return the limits of who may connect."""
        options = self._options
        return Admission(options["allowed_origins"], options["max_connections"], options["max_connections_per_address"])

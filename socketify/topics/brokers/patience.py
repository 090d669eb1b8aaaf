"""How long brokers wait for a server: options of their URLs."""

from __future__ import annotations

import math
from typing import NamedTuple

#: Seconds that a server that goes on gets to do what it was sent before it fell silent.
SETTLE = 1.0
#: Seconds that a connection stays open after its server fell silent, so that it can be settled.
LINGER = 30.0


class Patience(NamedTuple):
    """How long a server may be silent.

    A server that is stopped, or busy, for ten seconds loses nothing by default: what is published meanwhile waits for it.
    """

    #: Seconds of silence after which it is asked for a sign.
    ping_interval: float
    #: Seconds that the sign may take.
    timeout: float
    #: Seconds that a step of connecting may take.
    connect_timeout: float

    @classmethod
    def take(cls, options: dict[str, str]) -> Patience:
        """Return what options of a URL say, and remove them.

        Raises:
            ValueError: one of them is no number of seconds.

        """
        return cls(
            _seconds(options, "ping_interval", "5"),
            _seconds(options, "timeout", "10"),
            _seconds(options, "connect_timeout", "4"),
        )


def _seconds(options: dict[str, str], name: str, default: str) -> float:
    text = options.pop(name, default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:
        raise ValueError(f"{name} of the broker's URL must be seconds, more than 0 and at most 3600, not {text!r}")
    return seconds

"""What a supervisor asks of its workers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Optional

from ..system.processes import resident_bytes

#: The most of a time, in seconds: a year.
SECONDS_MAX = 366 * 24 * 60 * 60
#: Less than this no process that serves needs.
RSS_MIN = 1024 * 1024


@dataclass(frozen=True)
class WorkerOptions:
    """How workers are watched, and when they are replaced.

    Args:
        timeout: seconds after which a worker whose event loop does not run is killed and replaced, and what its threads were
            doing is logged; at least 1, or 0 for no limit. It counts from when the worker serves.
        start_timeout: seconds that a worker may take until it serves; then the same happens. At least 1, or 0 for no limit.
            None for 300; in ``socketify.workers.supervise`` for no limit: its target may serve no app, which says when it does.
        max_rss: bytes of resident memory; a worker that has more is replaced when its successor serves. None for no limit.
        lifetime: seconds after which a worker is replaced, when its successor serves. None for no limit.
        lifetime_jitter: up to so many seconds more, so that not all are replaced at the same time; None for a tenth of the
            lifetime.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range, or needs another one, or the system does not tell how much memory is used.

    """

    timeout: float = 30.0
    max_rss: Optional[int] = None
    lifetime: Optional[float] = None
    lifetime_jitter: Optional[float] = None
    start_timeout: Optional[float] = None

    def __post_init__(self) -> None:
        _check_seconds("timeout", self.timeout, 1, may_be_zero=True)
        if self.start_timeout is not None:
            _check_seconds("start_timeout", self.start_timeout, 1, may_be_zero=True)
        if self.lifetime is not None:
            _check_seconds("lifetime", self.lifetime, 1)
        if self.lifetime_jitter is not None:
            _check_seconds("lifetime_jitter", self.lifetime_jitter, 0)
            if self.lifetime is None:
                message = "lifetime_jitter needs lifetime"
                raise ValueError(message)
        if self.max_rss is None:
            return
        if not isinstance(self.max_rss, int) or isinstance(self.max_rss, bool):
            message = f"max_rss must be int or None, not {type(self.max_rss).__name__}"
            raise TypeError(message)
        if self.max_rss < RSS_MIN:
            message = f"max_rss must be at least {RSS_MIN} bytes, not {self.max_rss}"
            raise ValueError(message)
        if resident_bytes(os.getpid()) is None:
            message = "max_rss: this system does not say how much memory a worker has"
            raise ValueError(message)

    @property
    def jitter(self) -> float:
        """The lifetime's jitter, in seconds."""
        if self.lifetime_jitter is None:
            return (self.lifetime or 0.0) / 10
        return self.lifetime_jitter


def _check_seconds(name: str, value: object, least: float, *, may_be_zero: bool = False) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        message = f"{name} must be a number of seconds, not {type(value).__name__}"
        raise TypeError(message)
    # Also no NaN.
    if not least <= value <= SECONDS_MAX and not (may_be_zero and value == 0):
        message = f"{name} must be {'0, or ' if may_be_zero else ''}from {least} to {SECONDS_MAX} seconds, not {value!r}"
        raise ValueError(message)

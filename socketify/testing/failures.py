"""What handlers raised while a test asked, so that it can be raised where the test waits for them."""

from __future__ import annotations

import threading
from collections import deque
from typing import Optional

_KEPT_MAX = 100


class Failures:
    """Errors that nothing in the application handled, in their order; the server's thread adds, the test's takes.

    Args:
        are_raised: whether the test wants them; else none is kept.

    """

    def __init__(self, are_raised: bool) -> None:
        self._are_raised = are_raised
        self._errors: deque[BaseException] = deque(maxlen=_KEPT_MAX)
        self._lock = threading.Lock()

    def add(self, error: BaseException) -> None:
        """Keep an error."""
        if self._are_raised:
            with self._lock:
                self._errors.append(error)

    def take(self) -> Optional[Exception]:
        """Return the first error and forget it; one that would end more than the test comes as the cause of a RuntimeError."""
        with self._lock:
            if not self._errors:
                return None
            error = self._errors.popleft()
        if isinstance(error, Exception):
            return error
        stand_in = RuntimeError(f"a handler raised {error!r}")
        stand_in.__cause__ = error
        return stand_in

    def raise_first(self) -> None:
        """Raise the first error, if there is one."""
        error = self.take()
        if error is not None:
            try:
                raise error
            finally:
                # The error refers to this frame.
                error = None

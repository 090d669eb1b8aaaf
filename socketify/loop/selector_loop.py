"""The native loop below asyncio's own: both wait in one place."""

from __future__ import annotations

import asyncio
import contextvars
import math
import os
import selectors
from typing import Any, Optional

from ..native import abi, lib, pump, wait
from ..native.abi import WAIT_AHEAD

#: What the native side reads of asyncio's loop.
_READ = ("_ready", "_scheduled", "_stopping")


class NativeSelector(selectors.DefaultSelector):
    """The selector of an asyncio loop, which may wait in the native loop instead.

    Either the native loop waits, and has this selector's descriptor among its own, or this one does, and has the native loop's.
    The one that wakes up more often does: what it has to do, it learns from one system call, and the other one from two.
    """

    def __init__(self) -> None:
        super().__init__()
        # The loop that has this selector, while it drives the native one.
        self._loop: Any = None
        self._context: Optional[contextvars.Context] = None
        self._leads = False
        self._may_lead = True
        # Wake-ups for the native loop minus those for asyncio's, within bounds.
        self._balance = 0
        self._native = -1
        self._process = os.getpid()

    def drive(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Drive the native loop from now on, in the context of the caller.

        Args:
            loop: the one that has this selector.

        Returns:
            Whether that is possible.

        """
        # The selector of a system that has neither epoll nor kqueue is no descriptor.
        if wait is None or not hasattr(self, "fileno") or not all(hasattr(loop, name) for name in _READ):
            return False
        self._loop, self._context = loop, contextvars.copy_context()
        self._native = lib.sk_loop_fd()
        self._may_lead = True
        loop.add_reader(self._native, pump)
        self._lead()
        return True

    def give_way(self) -> None:
        """Let other loops drive the native one, too."""
        self._may_lead = False
        if self._leads:
            self._follow()

    def detach(self) -> None:
        """Drive it no more."""
        if self._leads:
            self._leads = False
            lib.sk_loop_follow()
        elif not self._loop.is_closed():
            self._loop.remove_reader(self._native)
        self._loop = self._context = None

    def close(self) -> None:
        """Close it."""
        if self._leads:
            self._leads = False
            # In the child of a fork, the loop of this thread is another one.
            if self._process == os.getpid():
                lib.sk_loop_follow()
        super().close()

    def select(self, timeout: Optional[float] = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for descriptors of asyncio, and serve those of the native loop meanwhile."""
        if self._leads:
            return self._select_natively(timeout)
        found = super().select(timeout)
        if self._loop is None or not self._may_lead or (timeout is not None and timeout <= 0):
            return found
        self._balance += 1 if any(key.fd == self._native for key, _ in found) else -1
        if self._balance >= WAIT_AHEAD:
            self._loop.call_soon(self._lead)
        self._balance = max(self._balance, -WAIT_AHEAD)
        return found

    def _select_natively(self, timeout: Optional[float]) -> list[tuple[selectors.SelectorKey, int]]:
        wait_ms = -1 if timeout is None else max(0, math.ceil(timeout * 1000))
        assert wait is not None
        found = wait(self._loop, self._context, wait_ms)
        if found == abi.WAIT_BUSY:
            # A handler runs the loop inside itself, by a package that allows that: the native loop cannot be run inside itself.
            return super().select(timeout)
        is_ready = found & abi.WAIT_PARTNER
        self._balance = min(self._balance + found // abi.WAIT_TURN - is_ready, WAIT_AHEAD)
        if not is_ready:
            return []
        if self._balance <= -WAIT_AHEAD and self._leads:
            self._follow()
        return super().select(0)

    def _lead(self) -> None:
        self._balance = 0
        if self._leads or not self._may_lead or self._loop is None:
            return
        self._loop.remove_reader(self._native)
        if lib.sk_loop_lead(self.fileno()):
            self._leads = True
        else:
            self._may_lead = False
            self._loop.add_reader(self._native, pump)

    def _follow(self) -> None:
        self._balance = 0
        self._leads = False
        lib.sk_loop_follow()
        self._loop.add_reader(self._native, pump)

"""The threads that apps live in: each has one native loop, which an asyncio loop of the same thread drives."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import ctypes
import os
import threading
import weakref
from collections import deque
from typing import Any, Callable, Optional, Protocol, TypeVar

from ..native import lib, pump
from ..native.abi import SCRATCH_BYTES
from .allocator import keep_freed_memory
from .backend import open_loop
from .event_loop import Driver, find_driver

Result = TypeVar("Result")

_here = threading.local()
#: Seconds that a thread gets to answer another one.
_PATIENCE = 10.0

#: A call to make in a thread: a function and its arguments.
Work = tuple[Callable[..., object], tuple[Any, ...]]


class Tenant(Protocol):
    """An app that listens."""

    def loop_attached(self) -> None:
        """Accept connections, as something drives the thread's native loop from now on."""

    def loop_detached(self) -> None:
        """Accept no connections, but keep listening, as nothing drives the thread's native loop from now on."""


class LoopThread:
    """What apps know of the thread that they live in. Only :meth:`current` makes one."""

    def __init__(self) -> None:
        self.ident = threading.get_ident()
        self.process = os.getpid()
        #: Apps that listen: whatever loop drives the native one serves all of them.
        self.tenants: weakref.WeakSet[Tenant] = weakref.WeakSet()
        self._users: dict[asyncio.AbstractEventLoop, int] = {}
        self._drivers: dict[asyncio.AbstractEventLoop, Driver] = {}
        self._pending: deque[Work] = deque()

    @staticmethod
    def current() -> LoopThread:
        """Return the one of this thread. The child of a fork has its own, as the inherited native loop is the parent's."""
        found: Optional[LoopThread] = getattr(_here, "loop_thread", None)
        if found is not None and found.process == os.getpid():
            return found
        if found is not None:
            forget_loop()
        made = _here.loop_thread = LoopThread()
        return made

    @property
    def is_current(self) -> bool:
        """Whether this is the calling thread."""
        return self.ident == threading.get_ident() and self.process == os.getpid()

    def employ_caller(self) -> None:
        """Let the calling thread, which has no loop, count as one that works for this one."""
        _here.employer = self

    @property
    def has_caller(self) -> bool:
        """Whether this is the calling thread, or one that works for it."""
        return self.is_current or (getattr(_here, "employer", None) is self and self.process == os.getpid())

    @property
    def loop(self) -> Optional[asyncio.AbstractEventLoop]:
        """The asyncio loop that drives the native one, or None."""
        # The thread may change them meanwhile: in free-threaded builds a list is made at once, and a tuple is not.
        return next((each for each in list(self._users) if not each.is_closed()), None)

    def call_soon(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function in this thread when no native code is running. Any thread may call this.

        That is in the loop's next turn, or, while no loop drives the native one, as soon as the thread has to do with apps
        again.
        """
        self._pending.append((function, arguments))
        loop = self.loop
        if loop is not None:
            # If it was closed in the meantime, the next loop or app of this thread makes the call.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self.run_pending)

    def ask(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function in this thread, wait for it, and return its result. Any thread may call this.

        Raises:
            RuntimeError: the thread does not answer in time; perhaps it waits for the one that asks.
            Exception: whatever the function raises.

        """
        if self.is_current:
            return function(*arguments)
        reply: concurrent.futures.Future[Result] = concurrent.futures.Future()

        def answer() -> None:
            if reply.set_running_or_notify_cancel():
                try:
                    reply.set_result(function(*arguments))
                except BaseException as error:  # it is raised where it was asked
                    reply.set_exception(error)

        self.call_soon(answer)
        try:
            return reply.result(_PATIENCE)
        except concurrent.futures.TimeoutError:
            if not reply.cancel():
                return reply.result()
            message = "the app's thread does not get to what another one asks; does it wait for that?"
            raise RuntimeError(message) from None

    def run_pending(self) -> None:
        """Make the calls that were passed to :meth:`call_soon` until now, in their order."""
        for _ in range(len(self._pending)):
            function, arguments = self._pending.popleft()
            function(*arguments)

    def attach(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """Let an asyncio loop drive the native loop of this thread, without polling and timers, and serve all apps of it.

        Returns:
            A function that ends this.

        """
        keep_freed_memory()
        open_loop()
        users = self._users
        if loop not in users:
            self._drive(loop)
        users[loop] = users.get(loop, 0) + 1

        def detach() -> None:
            users[loop] -= 1
            if users[loop]:
                return
            del users[loop]
            self.release(loop)
            if not users:
                for tenant in tuple(self.tenants):
                    tenant.loop_detached()
            self.run_pending()

        try:
            self.run_pending()
            for tenant in tuple(self.tenants):
                tenant.loop_attached()
        except BaseException:
            detach()
            raise
        return detach

    def _drive(self, loop: asyncio.AbstractEventLoop) -> None:
        for each in self._drivers.values():
            # Who waits for the native loop's descriptor, too, must find it.
            each.give_way()
        driver = None if self._users else find_driver(loop)
        if driver is None:
            loop.add_reader(lib.sk_loop_fd(), pump)
        else:
            self._drivers[loop] = driver

    def release(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let a loop drive the native one no more. It must not be closed before."""
        driver = self._drivers.pop(loop, None)
        if driver is not None:
            driver.detach()
        else:
            loop.remove_reader(lib.sk_loop_fd())


def scratch_view() -> memoryview:
    """Return the buffer of this thread's native loop, in which it returns text."""
    view: memoryview
    try:
        view = _here.view
    except AttributeError:
        address = lib.sk_loop_scratch()
        view = _here.view = memoryview((ctypes.c_char * SCRATCH_BYTES).from_address(address)).cast("B")
    return view


def forget_loop() -> None:
    """Forget the thread's loop in the child of a fork: the inherited native loop, and its apps, are the parent's."""
    lib.sk_loop_forget()
    _here.__dict__.pop("loop_thread", None)

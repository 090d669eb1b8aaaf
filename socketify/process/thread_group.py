"""Several threads of one process that serve together, each with an event loop and an app of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from typing import Callable, Optional

from ..app.app import App
from ..metrics.memory import make_room
from ..system.serving_threads import serving_with
from ..system.worker import expect_loops
from ..topics.brokers.schemes import default_of_thread
from .topics_directory import topics_of_threads

logger = logging.getLogger("socketify")

#: The most threads of a process that serve.
THREADS_MAX = 1024

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def checked_serving_threads(name: str, count: object) -> int:
    """Return a number of threads that serve.

    Raises:
        TypeError: it is no int.
        ValueError: it is out of range.

    """
    if not isinstance(count, int) or isinstance(count, bool):
        message = f"{name} must be an int from 1 to {THREADS_MAX}, not {count!r}"
        raise TypeError(message)
    if not 1 <= count <= THREADS_MAX:
        message = f"{name} must be from 1 to {THREADS_MAX}, not {count}"
        raise ValueError(message)
    return count


class ThreadGroup:
    """Serves with several threads, of which the calling one is the first: it gets the signals, and passes them on.

    The apps share topics, unless they have a broker of their own. When one of them stops, or fails, all do.

    Args:
        make: called with the number of a thread, from 0 on, in that thread, one after the other; returns its app, which
            listens.
        count: how many threads.
        on_made: called when all apps are made, before they are served.
        on_served: called once, when all are served.

    """

    def __init__(
        self,
        make: Callable[[int], App],
        count: int,
        *,
        on_made: Callable[[], object] = lambda: None,
        on_served: Callable[[], object] = lambda: None,
    ) -> None:
        self._make = make
        self._count = count
        self._on_made = on_made
        self._on_served = on_served
        # What carries their topics; None where they have something by themselves.
        self._broker: Optional[str] = None
        self._apps: list[App] = []
        # The threads that make them and serve.
        self._serving: set[int] = set()
        self._threads: list[threading.Thread] = []
        self._ended: list[concurrent.futures.Future[None]] = []
        # What a thread waits for when its app is made, and whether it is to be served then.
        self._begin = threading.Event()
        self._is_begun = False
        self._unserved = count
        self._failures: list[BaseException] = []
        self._is_closed = False
        self._lock = threading.Lock()

    def run(self, loop_factory: LoopFactory) -> Optional[int]:
        """Serve until a signal, :meth:`close`, or one of the apps stops all of them.

        Args:
            loop_factory: makes the event loop of each thread.

        Returns:
            The number of the signal; None where there was none.

        Raises:
            BaseException: what the first one raised that failed, when all have ended.

        """
        if self._count == 1:
            return self._run(loop_factory)
        with serving_with(self._count), topics_of_threads() as self._broker:
            expect_loops(self._count)
            make_room(self._count)
            return self._run(loop_factory)

    def _run(self, loop_factory: LoopFactory) -> Optional[int]:
        caught: Optional[int] = None
        try:
            first = self._made(0)
            for number in range(1, self._count):
                self._start(number, loop_factory)
            self._join_lives()
            self._on_made()
            if self._is_closed:
                self._stop()
            self._is_begun = True
            self._begin.set()
            caught = first.lifecycle.run(loop_factory)
        except BaseException as error:
            self._fail(error)
        finally:
            self._stop()
            self._begin.set()
            for thread in self._threads:
                thread.join()
            if self._apps:
                # One that was not served is closed by its own thread.
                self._apps[0].close()
        self._raise_first()
        return caught

    # ---- the threads

    def _made(self, number: int) -> App:
        self._serving.add(threading.get_ident())
        with default_of_thread(self._broker):
            app = self._make(number)
        self._apps.append(app)
        return app

    def _start(self, number: int, loop_factory: LoopFactory) -> None:
        made: concurrent.futures.Future[None] = concurrent.futures.Future()
        ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        thread = threading.Thread(target=self._work, args=(number, loop_factory, made, ended), name=f"socketify-{number + 1}")
        thread.start()
        self._threads.append(thread)
        self._ended.append(ended)
        made.result()

    def _work(
        self,
        number: int,
        loop_factory: LoopFactory,
        made: concurrent.futures.Future[None],
        ended: concurrent.futures.Future[None],
    ) -> None:
        try:
            app = self._made(number)
        except BaseException as error:  # it is raised where it is waited for
            made.set_exception(error)
            return
        made.set_result(None)
        try:
            self._begin.wait()
            if self._is_begun:
                app.lifecycle.run(loop_factory)
        except BaseException as error:
            self._fail(error)
        finally:
            try:
                app.close()
            finally:
                self._stop()
                ended.set_result(None)

    def _join_lives(self) -> None:
        lives = [each.lifecycle for each in self._apps]
        for life in lives:
            life.others = [each for each in lives if each is not life]
            life.on_served = self._note_served
        lives[0].outlived = self._ended

    def _note_served(self) -> None:
        with self._lock:
            self._unserved -= 1
            is_last = self._unserved == 0
        if is_last:
            self._on_served()

    # ---- the end

    @property
    def has_caller(self) -> bool:
        """Whether the calling thread is one of those that serve, or works for one, so that it cannot wait for their end."""
        return threading.get_ident() in self._serving or any(each.core.home.has_caller for each in tuple(self._apps))

    def close(self) -> None:
        """Stop serving: requests in flight may finish. A second call does not wait for them. Any thread may call this."""
        with self._lock:
            again, self._is_closed = self._is_closed, True
        for each in tuple(self._apps):
            if again:
                each.lifecycle.hurry()
            else:
                each.lifecycle.stop()

    def _stop(self) -> None:
        for each in tuple(self._apps):
            each.lifecycle.stop()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            known = {(type(each), str(each)) for each in self._failures}
            self._failures.append(error)
        if known and (type(error), str(error)) not in known:
            logger.error("something else failed in another thread", exc_info=error)

    def _raise_first(self) -> None:
        failures, self._failures = self._failures, []
        if failures:
            try:
                raise failures[0]
            finally:
                # The error refers to this frame.
                failures.clear()

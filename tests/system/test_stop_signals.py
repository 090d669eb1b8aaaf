"""Signals that stop a server: none is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any, Callable

import pytest
from server_programs import LOOPS, Program

from socketify.loop.event_loop import new_event_loop
from socketify.system.stop_signals import StopSignals


class Early:
    """An event loop during whose set-up a signal comes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def add_signal_handler(self, number: int, callback: Callable[[], Any]) -> None:
        self._loop.add_signal_handler(number, callback)
        if number == signal.SIGTERM:
            os.kill(os.getpid(), number)

    def remove_signal_handler(self, number: int) -> None:
        self._loop.remove_signal_handler(number)


@pytest.mark.parametrize("make", [asyncio.new_event_loop, new_event_loop], ids=["asyncio", "ours"])
def test_a_signal_that_comes_while_they_are_taken(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    loop = make()
    signals = StopSignals(Early(loop), loop.stop)  # type: ignore[arg-type]
    loop.call_soon(signals.install)
    # Blocked signals are blocked in one thread only: a process with another one gets them there.
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        late: list[bool] = []
        loop.call_later(5, lambda: (late.append(True), loop.stop()))
        loop.run_forever()
    finally:
        signals.restore()
        loop.close()
        done.set()
        other.join()
    assert signals.caught == signal.SIGTERM
    assert signals.should_exit
    assert not late


EARLY = """
import asyncio, os, signal
from socketify import App
from socketify.system.stop_signals import StopSignals
install = StopSignals.install
def install_and_get_one(self):
    install(self)
    os.kill(os.getpid(), signal.SIGTERM)
StopSignals.install = install_and_get_one
app = App()
app.listen(0, lambda config: print(config.port, flush=True))
app.run(LOOP)
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_a_signal_that_comes_before_the_loop_runs(loop: str) -> None:
    with Program(EARLY, loop) as program:
        assert program.wait() == -signal.SIGTERM

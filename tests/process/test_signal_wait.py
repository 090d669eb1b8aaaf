"""Waiting for blocked signals in the ways that interpreters and systems have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: What macOS has of ``kqueue`` for signals, by the calls that Linux has: those that are pending when it looks.
MODEL = """
import signal, time
from types import SimpleNamespace

class Queue:
    def control(self, changes, count, seconds):
        if changes is not None:
            self.watched = {each.ident for each in changes}
            return []
        until = time.monotonic() + seconds
        while not (found := self.watched & set(signal.sigpending())) and time.monotonic() < until:
            time.sleep(0.001)
        return list(found)

    def close(self):
        closed.append(self)

closed = []
kqueue = SimpleNamespace(
    kqueue=Queue,
    kevent=lambda ident, filter, flags: SimpleNamespace(ident=ident, filter=filter, flags=flags),
    KQ_FILTER_SIGNAL=-6,
    KQ_EV_ADD=1,
)
"""
PROGRAM = """
import os, signal, threading, time
from socketify.process import signal_wait

numbers = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
handled = []
signal.signal(signal.SIGALRM, lambda *_: handled.append("alarm"))
{way}
wait = signal_wait.wait_for_signal
assert wait(numbers, 0) is None
assert wait(numbers, -1) is None
os.kill(os.getpid(), signal.SIGUSR2)
assert wait(numbers, 0) == wait_of(signal.SIGUSR2), "one that came before"
threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
assert wait(numbers, None) == wait_of(signal.SIGTERM), "one that comes meanwhile"
signal.setitimer(signal.ITIMER_REAL, 0.02)
before = time.monotonic()
assert wait(numbers, 0.2) is None
assert handled == ["alarm"] and time.monotonic() - before > 0.19, "a handler of another one"
print("waited")
"""
LACKS = "vars(signal).pop('sigtimedwait', None)\n"
WAYS = {
    "usual": "wait_of = lambda number: (number, 0)",
    "the C library": LACKS + "wait_of = lambda number: (number, 0)",
    "kqueue": MODEL + LACKS + "signal_wait.select = kqueue\nwait_of = lambda number: (number, 0)",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_signals_are_waited_for(way: str) -> None:
    program = PROGRAM.replace("{way}", way)
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("waited\n", "")

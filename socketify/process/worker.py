"""A worker, as its supervisor knows it."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from dataclasses import dataclass, field

from ..system.processes import is_traced, resident_bytes
from ..system.worker import WorkerMemory
from .stacks import Stacks


@dataclass
class Worker:
    """One process, from its start to its end."""

    index: int
    pid: int
    #: The pipe on which it announces that it serves.
    ready: int
    memory: WorkerMemory
    stacks: Stacks
    #: The sockets that it accepts from, by their place among those that the supervisor keeps.
    shares: frozenset[int]
    began: float = field(default_factory=time.monotonic)
    #: Whether it announced that it serves.
    serves: bool = False
    #: Whether it was replaced or stopped, so that no other one takes its place when it ends.
    leaves: bool = False
    #: Whether it waits for its successor.
    is_due: bool = False
    #: When it may be replaced, after a successor that did not serve.
    replaceable: float = -math.inf

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"worker {self.index + 1} (pid {self.pid})"

    def look(self) -> bool:
        """Look whether it announced that it serves; return whether that is new."""
        if self.serves:
            return False
        os.set_blocking(self.ready, False)
        with contextlib.suppress(BlockingIOError):
            self.serves = os.read(self.ready, 1) == b"1"
        return self.serves

    def send(self, number: int) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def retire(self) -> None:
        """Let it leave, as others serve already what it served."""
        self.leaves = True
        self.memory.is_replaced = True
        self.send(signal.SIGTERM)

    def close(self) -> None:
        """Close its descriptors in this process."""
        os.close(self.ready)
        self.stacks.close()

    @property
    def wants_successor(self) -> bool:
        """Whether it wants to be replaced, and may be."""
        return self.memory.wants_successor and time.monotonic() >= self.replaceable

    @property
    def rss(self) -> int:
        """Its resident memory, in bytes; 0 where that is not known."""
        return resident_bytes(self.pid) or 0

    @property
    def is_traced(self) -> bool:
        """Whether a debugger has stopped it."""
        return is_traced(self.pid)

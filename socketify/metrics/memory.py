"""The memory in which processes count: blocks of words, each written by one app and read by all."""

from __future__ import annotations

import ctypes
import mmap
import threading

from ..native import abi

#: Apps at a time that count in processes without a supervisor; pages that nobody writes take no memory.
_BLOCKS_ALONE = 64
_BLOCKS_BESIDE = 64
#: The block of the supervisor.
_SUPERVISOR = 0

_WORD_BYTES = 8
_BLOCK_BYTES = abi.METRICS_WORDS * _WORD_BYTES
_Block = ctypes.c_ubyte * _BLOCK_BYTES
#: None is ever unmapped: native code, and views of PyPy, know no more than addresses.
_maps: list[mmap.mmap] = []


class MetricsMemory:
    """Memory that this process shares with those that it forks. Its layout stands in ``socketify_metrics.h``.

    Args:
        blocks: apps that may count at a time, and one for the supervisor.

    """

    def __init__(self, blocks: int) -> None:
        memory = mmap.mmap(-1, blocks * _BLOCK_BYTES)
        _maps.append(memory)
        self.blocks = blocks
        #: Where it is, for native code.
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(memory))

    def block(self, number: int) -> memoryview[int]:
        """Return the words of a block, each time apart: views count their views, which no two threads may do at once."""
        return memoryview(_Block.from_address(self.address + number * _BLOCK_BYTES)).cast("B").cast("Q")

    def used_blocks(self) -> list[memoryview[int]]:
        """Return the blocks that somebody has, or had: the first is the supervisor's."""
        found = [self.block(_SUPERVISOR)]
        for number in range(1, self.blocks):
            block = self.block(number)
            if not block[abi.METRIC_USED]:
                break
            found.append(block)
        return found

    def supervise(self, pid: int) -> None:
        """Take note of the process that looks after the others."""
        block = self.block(_SUPERVISOR)
        block[abi.METRIC_OWNER] = pid
        block[abi.METRIC_PHASE] = abi.PHASE_SERVING

    def stop(self) -> None:
        """Take note that the supervisor ends its workers."""
        self.block(_SUPERVISOR)[abi.METRIC_PHASE] = abi.PHASE_DRAINING

    def count(self, word: int) -> None:
        """Count something that the supervisor did."""
        self.block(_SUPERVISOR)[word] += 1

    def release(self, pid: int) -> None:
        """Free the blocks of a process that ended: their counters stay, and go on when another one takes them.

        What was in flight there has ended as well, without a response.
        """
        for block in self.used_blocks()[1:]:
            if block[abi.METRIC_OWNER] == pid:
                block[abi.METRIC_ABORTED] += block[abi.METRIC_IN_FLIGHT]
                for word in range(abi.METRIC_PHASE, abi.METRIC_FIRST_COUNTER):
                    block[word] = 0
                block[abi.METRIC_OWNER] = 0


_lock = threading.Lock()
# The last one is in use.
_memories: list[MetricsMemory] = []


def metrics_memory() -> MetricsMemory:
    """Return the memory in which the apps of this process count, with those of the processes that its supervisor forked."""
    with _lock:
        if not _memories:
            _memories.append(MetricsMemory(1 + _BLOCKS_ALONE))
        return _memories[-1]


def make_room(apps: int) -> None:
    """Let so many more apps of this process count; those of a worker do so in the memory of its supervisor.

    Args:
        apps: how many there are to be.

    """
    memory = metrics_memory()
    owners = [memory.block(number)[abi.METRIC_OWNER] for number in range(memory.blocks)]
    if owners[_SUPERVISOR] or owners.count(0) > apps:
        return
    with _lock:
        _memories.append(MetricsMemory(1 + apps + _BLOCKS_BESIDE))


def memory_for_workers(apps: int) -> MetricsMemory:
    """Make the memory of a supervisor, in which the apps of its workers count from now on.

    Args:
        apps: how many there are; at times there are more, as a worker that leaves has a successor already.

    """
    with _lock:
        _memories.append(MetricsMemory(1 + 2 * apps + _BLOCKS_BESIDE))
        return _memories[-1]

"""Starts servers and looks at what they cost. Linux only.

The figure that counts is the server's own CPU time per request: unlike requests per second it does not depend on how
fast the load generator is, and hardly on what else runs on the machine.

A server under test is any command that accepts a port as its last argument (0 picks one) and prints ``listening PORT``.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import selectors
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# How the kernel spells the clock that counts the CPU time of a process, all its threads included.
PROCESS_CPU_CLOCK = 2
START_TIMEOUT = 30
#: Without it, robyn's p99 is ten times as high for the first second.
SETTLE_SECONDS = 0.2


class BenchmarkError(Exception):
    """A server or the load generator did not do what the measurement needs."""


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of several rounds."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarizes at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        """Renders as ``median (least..greatest)``."""
        digits = 0 if self.median >= 1000 else 2
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f}..{self.greatest:,.{digits}f})"


@contextlib.contextmanager
def pinned(cpu: int | None) -> Iterator[None]:
    """Lets what is started inside run on one CPU only; None leaves it free."""
    before = os.sched_getaffinity(0)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def choose_cpus() -> tuple[int | None, int | None]:
    """Returns a CPU for the server and one for the load; None for both when there is only one."""
    cpus = sorted(os.sched_getaffinity(0))
    return (cpus[0], cpus[-1]) if len(cpus) > 1 else (None, None)


def raise_descriptor_limit(wanted: int) -> None:
    """Allows this process and its children that many descriptors.

    Raises BenchmarkError when the system does not permit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise BenchmarkError(f"needs {wanted} descriptors, but the system permits {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def native_program(name: str) -> Path:
    """Returns where a program of ``zig build bench`` is. Raises BenchmarkError when it was not built."""
    program = ROOT / "zig-out" / "bin" / name
    if not program.exists():
        raise BenchmarkError(f"{program.relative_to(ROOT)} is missing; build it with: python -m ziglang build bench")
    return program


class Server:
    """A running server; a context manager that stops it."""

    def __init__(
        self,
        command: Sequence[str],
        cpu: int | None = None,
        scheme: str = "http",
        variables: Mapping[str, str] | None = None,
        source_tree: bool = True,
    ) -> None:
        """Starts the command with port 0 as last argument and waits until it listens.

        ``variables`` are added to its environment; ``source_tree`` lets it import this tree's socketify, rather than a
        version that may be installed beside it.

        Raises BenchmarkError when it ends or says something else before, or is silent for half a minute.
        """
        self.scheme = scheme
        environment = {**os.environ, **(variables or {})}
        search_path = [str(ROOT)] if source_tree else []
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (*search_path, os.environ.get("PYTHONPATH"))))
        if not source_tree:
            del environment["PYTHONPATH"]
        self._said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed when the server stops
        with pinned(cpu):
            self.process = subprocess.Popen(
                [*command, "0"],
                stdout=subprocess.PIPE,
                stderr=self._said,
                text=True,
                env=environment,
                start_new_session=True,
            )
        match = re.fullmatch(r"listening (\d+)\n", self._first_line())
        if match is None:
            said = self._last_words()
            self.stop()
            raise BenchmarkError(f"it did not start: {said}")
        self.port = int(match[1])

    def _first_line(self) -> str:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            return self.process.stdout.readline() if selector.select(START_TIMEOUT) else ""

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = [line.strip() for line in self._said if line.strip()]
        return next((line for line in lines if line.startswith("Fatal")), lines[-1] if lines else "without a word")

    def ended(self) -> str | None:
        """Returns what it said last when it is not running any more, else None."""
        return None if self.process.poll() is None else self._last_words()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{self.scheme}://127.0.0.1:{self.port}/"

    def cpu_seconds(self) -> float:
        """CPU time, user and system, of the process, its threads and its living children so far."""
        seconds = 0.0
        for pid in self.pids():
            # One that has ended meanwhile counts with its parent.
            with contextlib.suppress(OSError):
                seconds += time.clock_gettime((~pid << 3) | PROCESS_CPU_CLOCK)
        return seconds

    def cpu_ticks(self) -> int:
        """The same as the kernel's statistics count it, in ticks of usually 10 ms."""
        return sum(_cpu_ticks(pid) for pid in self.pids())

    def resident_bytes(self) -> int:
        """Memory of the process and its living children that is in RAM."""
        # Unlike VmRSS, which the kernel updates in batches, this is counted when asked.
        return sum(_kilobytes(pid, "smaps_rollup", "Rss") for pid in self.pids()) * 1024

    def proportional_bytes(self) -> int:
        """Memory of the process and its living children in RAM, of which what several have in common counts once."""
        return sum(_kilobytes(pid, "smaps_rollup", "Pss") for pid in self.pids()) * 1024

    def peak_bytes(self) -> int:
        """The most memory that the process and its living children, each by itself, ever had in RAM."""
        return sum(_kilobytes(pid, "status", "VmHWM") for pid in self.pids()) * 1024

    def holds_descriptor(self, name: str) -> bool:
        """Tells whether one of its descriptors has this name, such as ``anon_inode:[io_uring]``."""
        for pid in self.pids():
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if str(link.readlink()) == name:
                        return True
        return False

    def pids(self) -> list[int]:
        """The process and all its living descendants."""
        found = [self.process.pid]
        for pid in found:  # grows while it is walked
            # A thread may end while the others are looked at.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                        found.extend(int(child) for child in (task / "children").read_text().split())
        return found

    def pause(self) -> None:
        """Lets the server and its children run no more: some use the CPU that others are measured on, even without requests."""
        self._signal_all(signal.SIGSTOP)

    @contextlib.contextmanager
    def awake(self) -> Iterator[None]:
        """Lets a paused server run inside, after a moment in which it catches up with what the pause has made late."""
        self._signal_all(signal.SIGCONT)
        time.sleep(SETTLE_SECONDS)
        try:
            yield
        finally:
            self.pause()

    def _signal_all(self, number: signal.Signals) -> None:
        # Workers that their parent left behind too: the session is the server's own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def stop(self) -> None:
        """Asks the server to stop and, after two seconds, makes it."""
        self.process.terminate()
        self._signal_all(signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        self._signal_all(signal.SIGKILL)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._said.close()


def _cpu_ticks(pid: int) -> int:
    # The command's name may hold spaces and parentheses; the numbers start behind the last one.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _kilobytes(pid: int, file: str, field: str) -> int:
    try:
        text = Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    match = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    # A process that is ending has no memory any more.
    return int(match[1]) if match else 0

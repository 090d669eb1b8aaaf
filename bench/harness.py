"""Starts servers, loads them with wrk or the websocket client, and measures what they cost. Linux only.

The figure that counts is the server's own CPU time per request: unlike requests per second it does not depend on how
fast the load generator is, and hardly on what else runs on the machine.

A server under test is any command that accepts a port as its last argument (0 picks one) and prints ``listening PORT``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WRK_SCRIPT = Path(__file__).with_name("wrk.lua")
# How the kernel spells the clock that counts the CPU time of a process, all its threads included.
PROCESS_CPU_CLOCK = 2


class BenchmarkError(Exception):
    """A server or the load generator did not do what the measurement needs."""


@dataclass(frozen=True)
class Load:
    """What clients do: a number of connections, each with a number of requests in flight."""

    name: str
    connections: int
    pipelined: int = 1


@dataclass(frozen=True)
class Throughput:
    """What one run of a load gave; a request may also be a message."""

    requests: int
    seconds: float
    cpu_seconds: float

    @property
    def requests_per_second(self) -> float:
        """Requests answered per second of wall-clock time."""
        return self.requests / self.seconds

    @property
    def cpu_us_per_request(self) -> float:
        """Microseconds of the server's CPU time, user and system, per request."""
        return self.cpu_seconds * 1e6 / self.requests


@dataclass(frozen=True)
class Measurement(Throughput):
    """What wrk tells beside."""

    latency_p50_us: float
    latency_p99_us: float


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


class Server:
    """A running server; a context manager that stops it."""

    def __init__(self, command: Sequence[str], cpu: int | None = None, scheme: str = "http") -> None:
        """Starts the command with port 0 as last argument and waits until it listens.

        Raises BenchmarkError when it ends or says something else before.
        """
        self.scheme = scheme
        # What is measured is the source tree, not a version that may be installed beside it.
        search_path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": search_path}
        with pinned(cpu):
            self.process = subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening (\d+)\n", line)
        if match is None:
            self.stop()
            raise BenchmarkError(f"{' '.join(command)} said {line!r} instead of its port")
        self.port = int(match[1])

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
        return sum(time.clock_gettime((~pid << 3) | PROCESS_CPU_CLOCK) for pid in self.pids())

    def cpu_ticks(self) -> int:
        """The same as the kernel's statistics count it, in ticks of usually 10 ms."""
        return sum(_cpu_ticks(pid) for pid in self.pids())

    def resident_bytes(self) -> int:
        """Memory of the process and its living children that is in RAM."""
        return sum(_resident_bytes(pid) for pid in self.pids())

    def pids(self) -> list[int]:
        """The process and all its living descendants."""
        found = [self.process.pid]
        for pid in found:  # grows while it is walked
            for task in Path(f"/proc/{pid}/task").iterdir():
                # A thread may end while the others are looked at.
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    found.extend(int(child) for child in (task / "children").read_text().split())
        return found

    def stop(self) -> None:
        """Asks the server to stop and, after ten seconds, makes it."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def _cpu_ticks(pid: int) -> int:
    # The command's name may hold spaces and parentheses; the numbers start behind the last one.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _resident_bytes(pid: int) -> int:
    # Unlike VmRSS, which the kernel updates in batches, this is counted when asked.
    match = re.search(r"^Rss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    if match is None:
        raise BenchmarkError(f"the kernel does not tell the memory of process {pid}")
    return int(match[1]) * 1024


def run_wrk(server: Server, load: Load, seconds: float, cpu: int | None = None) -> Measurement:
    """Runs a load against a server for some seconds.

    Raises BenchmarkError when wrk fails, or when a request did.
    """
    raise_descriptor_limit(load.connections + 256)
    command = ["wrk", "--threads", "1", "--connections", str(load.connections), "--duration", f"{seconds:g}s"]
    command += ["--timeout", "10s", "--script", str(WRK_SCRIPT), server.url, "--", str(load.pipelined)]
    before = server.cpu_seconds()
    with pinned(cpu):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    cpu_seconds = server.cpu_seconds() - before
    match = re.search(r"^summary (.*)$", result.stdout, re.MULTILINE)
    if result.returncode != 0 or match is None:
        raise BenchmarkError(f"wrk failed: {result.stdout}{result.stderr}")
    summary = json.loads(match[1])
    errors = {name: summary[name] for name in ("connect", "read", "write", "status", "timeout") if summary[name]}
    if errors or not summary["requests"]:
        raise BenchmarkError(f"{load.name}: {summary['requests']} answers, errors: {errors}")
    return Measurement(
        requests=summary["requests"],
        seconds=summary["microseconds"] / 1e6,
        cpu_seconds=cpu_seconds,
        latency_p50_us=summary["latency_p50_us"],
        latency_p99_us=summary["latency_p99_us"],
    )


def run_websocket_load(server: Server, words: Sequence[object], seconds: int, cpu: int | None = None) -> Throughput:
    """Runs the websocket client against a server for some seconds.

    ``words`` are its mode, connections, bytes and messages in flight; the path is the mode's name.

    Raises BenchmarkError when the client was not built or fails.
    """
    client = ROOT / "zig-out" / "bin" / "websocket_load"
    if not client.exists():
        raise BenchmarkError(f"{client} is missing; build it with: python -m ziglang build bench")
    mode, connections, message_bytes, in_flight = words
    raise_descriptor_limit(int(str(connections)) + 256)
    command = [client, server.port, f"/{mode}", mode, connections, message_bytes, in_flight, seconds]
    before = server.cpu_seconds()
    with pinned(cpu):
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    cpu_seconds = server.cpu_seconds() - before
    if result.returncode != 0:
        raise BenchmarkError(f"the websocket client failed: {result.stderr}")
    summary = json.loads(result.stdout)
    if not summary["messages"]:
        raise BenchmarkError("the websocket client received nothing")
    return Throughput(summary["messages"], summary["microseconds"] / 1e6, cpu_seconds)

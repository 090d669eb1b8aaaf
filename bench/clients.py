"""The load generators: wrk, and our own clients for websockets, for a steady pace and for big files."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from harness import BenchmarkError, Server, native_program, pinned, raise_descriptor_limit

WRK_SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True)
class Load:
    """What clients do: a number of connections, each with a number of requests in flight."""

    name: str
    connections: int
    pipelined: int = 1


@dataclass(frozen=True)
class Request:
    """What is asked for, and what the answer has to be: a text, or what it is as JSON; None when the scenario tells."""

    path: str = "/"
    method: str = "GET"
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    answer: Union[str, dict[str, object], None] = None


@dataclass(frozen=True)
class Throughput:
    """What one run of a load gave; a request may also be a message, or a megabyte."""

    requests: float
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
    """What clients that watch the clock tell beside."""

    latency_p50_us: float
    latency_p99_us: float
    latency_p999_us: float

    @classmethod
    def of(cls, summary: Mapping[str, float], cpu_seconds: float) -> Measurement:
        """Takes what a client says and the server's CPU time meanwhile."""
        latencies = {name: value for name, value in summary.items() if name.startswith("latency_")}
        return cls(summary["requests"], summary["microseconds"] / 1e6, cpu_seconds, **latencies)


GET = Request()


def run_wrk(server: Server, load: Load, seconds: float, cpu: int | None = None, request: Request = GET) -> Measurement:
    """Runs a load against a server for some seconds.

    Raises BenchmarkError when wrk fails, or when a request did.
    """
    raise_descriptor_limit(load.connections + 256)
    # wrk takes whole seconds only; told to stop it ends in order.
    longest = int(seconds) + 1
    command = ["wrk", "--threads", "1", "--connections", str(load.connections), "--duration", f"{longest}s"]
    for name, value in request.headers:
        command += ["--header", f"{name}: {value}"]
    command += ["--timeout", "10s", "--script", str(WRK_SCRIPT), server.url.rstrip("/") + request.path]
    with tempfile.NamedTemporaryFile("w") as body:
        body.write(request.body)
        body.flush()
        command += ["--", str(load.pipelined), request.method, body.name]
        before = server.cpu_seconds()
        with pinned(cpu):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            output, complaint = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            output, complaint = process.communicate()
        cpu_seconds = server.cpu_seconds() - before
    match = re.search(r"^summary (.*)$", output, re.MULTILINE)
    if process.returncode != 0 or match is None:
        raise BenchmarkError(f"wrk failed: {output}{complaint}")
    summary = json.loads(match[1])
    errors = {name: summary[name] for name in ("connect", "read", "write", "status", "timeout") if summary[name]}
    if errors:
        raise BenchmarkError(f"{summary['requests']} answers, errors: {errors}")
    if not summary["requests"]:
        raise BenchmarkError("no answer in time")
    return Measurement.of(summary, cpu_seconds)


def _run_client(server: Server, name: str, words: Sequence[object], cpu: int | None) -> tuple[dict[str, float], float]:
    """Runs a client of ``zig build bench``; returns what it says and the server's CPU seconds meanwhile."""
    command = [native_program(name), server.port, *words]
    pipe = subprocess.PIPE
    with pinned(cpu):
        process = subprocess.Popen(list(map(str, command)), stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        # Only between the two lines is the server loaded: what connecting costs is not counted.
        if process.stdout.readline() == "ready\n":
            before = server.cpu_seconds()
            process.stdin.write("\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            cpu_seconds = server.cpu_seconds() - before
            if answer:
                return json.loads(answer), cpu_seconds
        raise BenchmarkError(f"the client failed: {process.stderr.readline().strip()}")


def run_websocket_load(server: Server, words: Sequence[object], seconds: float, cpu: int | None = None) -> Throughput:
    """Runs the websocket client against a server for some seconds.

    ``words`` are its mode, connections, bytes and messages in flight; the path is the mode's name.

    Raises BenchmarkError when the client was not built or fails.
    """
    mode, connections, message_bytes, in_flight = words
    raise_descriptor_limit(int(str(connections)) + 256)
    settings = (f"/{mode}", mode, connections, message_bytes, in_flight, int(seconds * 1000))
    summary, cpu_seconds = _run_client(server, "websocket_load", settings, cpu)
    if not summary["messages"]:
        raise BenchmarkError("the websocket client received nothing")
    return Throughput(summary["messages"], summary["microseconds"] / 1e6, cpu_seconds)


def run_paced(server: Server, connections: int, rate: float, seconds: float, cpu: int | None = None) -> Measurement:
    """Asks for the root so many times a second, at even distances; latency counts from when a request was due.

    Raises BenchmarkError when the client was not built or fails, or an answer is missing at the end.
    """
    words = ("/", connections, max(int(rate), 1), int(seconds * 1000))
    summary, cpu_seconds = _run_client(server, "paced_load", words, cpu)
    if summary["missing"]:
        raise BenchmarkError(f"{summary['missing']} of {summary['requests']} requests were not answered in time")
    return Measurement.of(summary, cpu_seconds)


def download(server: Server, path: str, length: int, seconds: float, cpu: int | None = None) -> Throughput:
    """Reads a file of a known length on one connection, for some seconds at most; the unit is 1,000,000 bytes.

    Raises BenchmarkError when the answer is not 200, or the connection ends before the file does.
    """
    buffer = memoryview(bytearray(1 << 20))
    with pinned(cpu), socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        before, begin = server.cpu_seconds(), time.perf_counter()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(65536)
            if not part:
                raise BenchmarkError("the connection ended in the head of the answer")
            head += part
        head, _, rest = head.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise BenchmarkError(f"the answer begins with {head.splitlines()[0]!r}")
        # A chunked answer is a little longer than the file: who reads as many bytes has read nearly all of it.
        received = len(rest)
        while received < length and time.perf_counter() - begin < seconds:
            count = connection.recv_into(buffer)
            if not count:
                raise BenchmarkError(f"the connection ended after {received:,} of {length:,} bytes")
            received += count
        elapsed, cpu_seconds = time.perf_counter() - begin, server.cpu_seconds() - before
    return Throughput(received / 1e6, elapsed, cpu_seconds)

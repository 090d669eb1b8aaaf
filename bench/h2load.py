"""HTTP/2's load generator, h2load of nghttp2, and clients that only open streams, or ask once."""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass

from clients import GET, Request, Throughput
from harness import BenchmarkError, Server, pinned
from memory import Growth

#: Until a load's rate is known: so many requests.
FIRST_REQUESTS = 200
#: After a server has failed to answer for so long, it is not waited for any more.
PATIENCE_SECONDS = 60

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS, ACK = 1, 4, 1
FRAME_HEADER_BYTES = 9


@dataclass(frozen=True)
class Streams:
    """What h2load does: a number of connections, each with a number of requests in flight; ``version`` 1 pipelines them."""

    connections: int
    each: int
    version: int = 2


def run_h2load(
    server: Server, streams: Streams, requests: int, cpu: int | None = None, request: Request = GET
) -> tuple[Throughput, float]:
    """Makes so many requests; returns what they cost, and the mean latency in seconds.

    Raises BenchmarkError when h2load fails, or a request did.
    """
    command = ["h2load", "--clients", str(streams.connections), "--max-concurrent-streams", str(streams.each)]
    command += ["--requests", str(max(requests, streams.connections))]
    if streams.version == 1:
        command.append("--h1")
    for name, value in request.headers:
        command += ["--header", f"{name}: {value}"]
    with tempfile.NamedTemporaryFile("w") as body:
        if request.body:
            body.write(request.body)
            body.flush()
            command += ["--data", body.name]
        before = server.cpu_seconds()
        with pinned(cpu):
            done = subprocess.run(
                [*command, server.url.rstrip("/") + request.path],
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE_SECONDS,
            )
        cpu_seconds = server.cpu_seconds() - before
    spoken = "h2" if streams.version == 2 else "http/1.1"
    if server.scheme == "https" and f"Application protocol: {spoken}" not in done.stdout:
        raise BenchmarkError(f"it does not speak {spoken}")
    counts = re.search(r"^requests: (\d+) total, .* (\d+) succeeded, (\d+) failed", done.stdout, re.MULTILINE)
    took = re.search(r"^finished in ([\d.]+)(us|ms|s)", done.stdout, re.MULTILINE)
    latency = re.search(r"^time for request: +\S+ +\S+ +([\d.]+)(us|ms|s)", done.stdout, re.MULTILINE)
    if done.returncode != 0 or counts is None or took is None or latency is None:
        raise BenchmarkError(f"h2load failed: {done.stdout[-200:]}{done.stderr[-200:]}")
    if counts[1] != counts[2]:
        raise BenchmarkError(f"{counts[2]} answers with 2xx, {counts[3]} of {counts[1]} requests failed")
    return Throughput(int(counts[2]), _seconds(took), cpu_seconds), _seconds(latency)


def _seconds(found: re.Match[str]) -> float:
    return float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[found[2]]


def ask(server: Server, request: Request) -> tuple[bytes, int]:
    """Makes a request of HTTP/2 by curl; returns the body of the answer and how many fields it has.

    Raises BenchmarkError when it is not answered with 200.
    """
    spoken = "--http2" if server.scheme == "https" else "--http2-prior-knowledge"
    command = ["curl", "--silent", "--show-error", "--insecure", spoken, "--include", "--max-time", "30"]
    if request.body:
        command += ["--data-binary", "@-"]
    for name, value in request.headers:
        command += ["--header", f"{name}: {value}"]
    command.append(server.url.rstrip("/") + request.path)
    if shutil.which("curl") is None:
        raise BenchmarkError("curl is missing")
    done = subprocess.run(command, input=request.body.encode(), capture_output=True, check=False)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").splitlines()
    if done.returncode != 0 or not lines or lines[0].split() != ["HTTP/2", "200"]:
        raise BenchmarkError(f"it does not answer: {lines[0] if lines else done.stderr.decode().strip()}")
    return body, len(lines) - 1


# ---- streams that wait


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Returns a frame (RFC 9113 section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


#: Of a connection: our settings, and that we have seen the server's.
BEGINNING = PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0)


def whole_requests(first: int, count: int) -> bytes:
    """Returns so many requests, on streams from a number on."""
    # Method, scheme and path from the static table (RFC 7541 appendix A), and an authority.
    block = b"\x82\x86\x84\x41\x09127.0.0.1"
    return b"".join(frame(HEADERS, END_STREAM | END_HEADERS, first + 2 * number, block) for number in range(count))


def _asked(port: int, path: str) -> bytes:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as asker:
        asker.request("GET", path)
        return asker.getresponse().read()


def read_answers(connection: socket.socket, streams: int) -> None:
    """Reads until so many streams have ended. Raises BenchmarkError when they do not."""
    kept, missing = b"", streams
    while missing:
        data = connection.recv(1 << 16)
        if not data:
            raise BenchmarkError(f"{missing} of {streams} streams were not answered")
        kept += data
        while len(kept) >= FRAME_HEADER_BYTES:
            length, kind, flags = int.from_bytes(kept[:3], "big"), kept[3], kept[4]
            if len(kept) < FRAME_HEADER_BYTES + length:
                break
            kept = kept[FRAME_HEADER_BYTES + length :]
            missing -= kind in (DATA, HEADERS) and flags & END_STREAM


def growth_over_streams(server: Server, connections: int, each: int, patience: float = 30) -> Growth:
    """Measures memory around requests that wait in their handlers at the same time, many of them on each connection.

    Raises BenchmarkError when not all of them get that far after some seconds, or when one is not answered in the end.
    """
    count = connections * each
    with contextlib.ExitStack() as stack:
        before = server.resident_bytes()
        opened = []
        for _ in range(connections):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            client.sendall(BEGINNING + whole_requests(1, each))
            opened.append(client)
        deadline = time.monotonic() + patience
        while (waiting := _asked(server.port, "/count")) != b"%d" % count:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{waiting!r} of {count} requests wait")
            time.sleep(0.1)
        after = server.resident_bytes()
        _asked(server.port, "/release")
        for client in opened:
            read_answers(client, each)
    return Growth(before, after)

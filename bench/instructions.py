"""Counts the instructions that a request costs, of this source tree and of another one: also where a machine is busy.

    python -m ziglang build
    python bench/instructions.py ../before            # a source tree of before, built likewise
    python bench/instructions.py ../before --only hello --only asgi

Each server runs under valgrind's callgrind, once for few requests and once for many, one after the other on one connection:
the difference is what requests cost, without the start. The kernel's part is not in it. bench/compare.py measures that, too.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import h2load
from harness import ROOT, BenchmarkError

FEW, MANY = 320, 1920
BATCH = 16
FIELDS = b"Host: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n"
GET = b"GET / HTTP/1.1\r\n" + FIELDS + b"\r\n"
PARAMETER = b"GET /users/17?q=a HTTP/1.1\r\n" + FIELDS + b"\r\n"
POST = b"POST / HTTP/1.1\r\n" + FIELDS + b"Content-Type: application/json\r\nContent-Length: 28\r\n\r\n" + b"x" * 28
UPGRADE = (
    b"GET / HTTP/1.1\r\n" + FIELDS + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MASKED_HELLO = b"\x81\x8d" + bytes(4) + b"Hello, World!"

#: Where programs stand in bench/serve/counted.py, by name: what their clients send.
REQUESTS = {
    "hello": GET,
    "pipelined": GET,
    "hello-metrics": GET,
    "pipelined-metrics": GET,
    "parameter": PARAMETER,
    "fields": GET,
    "pieces": GET,
    "coroutine": GET,
    "coroutine-waits": GET,
    "asgi": GET,
    "asgi-waits": GET,
    "asgi-ten-waits": GET,
    "asgi-stream": GET,
    "asgi-post": POST,
    "wsgi": GET,
    "wsgi-post": POST,
    "wsgi-generator": GET,
    "wsgi-write": GET,
}
#: Over HTTP/2, so many streams at a time.
HTTP2, STREAMS = ("http2", "http2-asgi"), 32
PROGRAMS = (*REQUESTS, "websocket", *HTTP2)


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="the other source tree, with its library built")
    parser.add_argument(
        "--only", action="append", choices=PROGRAMS, help="a program; may be given several times (default: all)"
    )
    return parser.parse_args()


def read_response(stream: IO[bytes]) -> None:
    """Reads a response with a length or chunks."""
    length = 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.lower().partition(b":")
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            length = -1
    if length >= 0:
        stream.read(length)
        return
    while size := int(stream.readline(), 16):
        stream.read(size + 2)
    stream.readline()


def ask(connection: socket.socket, name: str, count: int) -> None:
    """Sends so many requests or messages, and reads what comes back."""
    if name in HTTP2:
        connection.sendall(h2load.BEGINNING)
        for first in range(1, 2 * count, 2 * STREAMS):
            connection.sendall(h2load.whole_requests(first, STREAMS))
            h2load.read_answers(connection, STREAMS)
        return
    with connection.makefile("rb") as stream:
        if name == "websocket":
            connection.sendall(UPGRADE)
            read_response(stream)
            for _ in range(count):
                connection.sendall(MASKED_HELLO)
                stream.read(len(MASKED_HELLO) - 4)
            return
        batch = BATCH if name.startswith("pipelined") else 1
        for _ in range(count // batch):
            connection.sendall(REQUESTS[name] * batch)
            for _ in range(batch):
                read_response(stream)


def count_instructions(root: Path, name: str, count: int) -> int:
    """Runs a program for so many requests, and returns how many instructions it took.

    Raises BenchmarkError when valgrind does not say.
    """
    program = ROOT / "bench" / "serve" / "counted.py"
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, program, name, str(count)]
    # The same hashes, and the backend that every kernel has.
    environment = dict(os.environ, PYTHONPATH=str(root), PYTHONHASHSEED="0", SOCKETIFY_BACKEND="epoll")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=root
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        if line:
            with socket.create_connection(("127.0.0.1", int(line))) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ask(connection, name, count)
        _, said = process.communicate(timeout=120)
    found = re.search(r"Collected : (\d+)", said)
    if found is None or not line:
        raise BenchmarkError(f"{name} of {root}: {said[-2000:]}")
    return int(found[1])


def cost(root: Path, name: str, counted: Callable[[Path, str, int], int] = count_instructions) -> float:
    """Returns the instructions of one request."""
    return (counted(root, name, MANY) - counted(root, name, FEW)) / (MANY - FEW)


def main() -> int:
    """Measures and reports; returns the exit status."""
    arguments = parse_arguments()
    print(f"{'':<16}{'before':>10}{'now':>10}{'ratio':>8}")
    try:
        for name in arguments.only or PROGRAMS:
            before, now = (cost(root.resolve(), name) for root in (arguments.before, ROOT))
            print(f"{name:<16}{before:>10.0f}{now:>10.0f}{now / before:>8.3f}", flush=True)
    except (BenchmarkError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Counts what TLS handshakes leave in memory, and what they cost: clients connect, ask once, and leave, again and again.

    python bench/tls_handshakes.py [--handshakes 10000]

How fast requests are over TLS is measured by bench/run.py --only tls.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import sys
import tempfile
from pathlib import Path

from environments import Environments
from files import make_files
from harness import BenchmarkError, Server, choose_cpus
from programs import NATIVE_OURS

WARM_UP_HANDSHAKES = 2_000


def shake_hands(server: Server, count: int) -> None:
    """Connects, makes a request, and leaves without a word, again and again."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for _ in range(count):
        with context.wrap_socket(socket.create_connection(("127.0.0.1", server.port))) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            if not connection.recv(1000).startswith(b"HTTP/1.1 200"):
                raise BenchmarkError("a handshake led to no answer")


def main() -> int:
    """Measures and reports; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--handshakes", type=int, default=10_000)
    handshakes = parser.parse_args().handshakes
    with tempfile.TemporaryDirectory() as directory:
        make_files(Path(directory))
        try:
            with NATIVE_OURS[0].start(Environments(), "tls", Path(directory), choose_cpus()[0]) as server:
                shake_hands(server, WARM_UP_HANDSHAKES)
                before, used = server.resident_bytes(), server.cpu_seconds()
                shake_hands(server, handshakes)
                used = server.cpu_seconds() - used
                grown = server.resident_bytes() - before
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            return 1
    print(f"{handshakes} handshakes with a request: memory grew by {grown / 1024:,.0f} KiB of {before / 1024:,.0f} KiB,")
    print(f"{used * 1e6 / handshakes:,.0f} us of CPU time each")
    return 0


if __name__ == "__main__":
    sys.exit(main())

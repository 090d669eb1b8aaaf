"""Loads apps of several threads of one process, of all interfaces, while other threads change what they send.

    python tests/stress/stress.py --seconds 300 --threads 4     # by the interpreter that is to be tested

Every answer is checked. Ends with 1 when one was wrong, the server crashed, reported something, or takes more and more memory.
What runs at once only without the interpreter's lock is what this is for: tests/platforms/free_threaded.sh.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from websockets.sync.client import connect

SERVED = Path(__file__).with_name("served.py")
TEXT, LARGE = b"shared " * 10, b"L" * 100_000
APP = {
    "/hello": [b"Hello, World!"],
    "/shared": [TEXT],
    "/large": [LARGE],
    "/fields": [b"fields"],
    "/later": [TEXT],
    "/waits": [TEXT],
}
ANSWERS = {
    "app": APP,
    "group": {**APP, "/metrics": []},
    "tls": APP,
    "asgi": {"/": [b"first", b"second"], "/later": [b"first", b"second"], "/large": [LARGE]},
    "wsgi": {"/": [b"whole"], "/shared": [b"whole"], "/written": [b"whole"], "/large": [LARGE]},
}
FIELDS = ("X-A", "X-B", "X-C")
REQUESTS_OF_A_CONNECTION = 200


class Load:
    """Clients in threads, until a time."""

    def __init__(self, ports: dict[str, list[int]], seconds: float) -> None:
        self.ports = ports
        self.ends = time.monotonic() + seconds
        self.answered: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def goes_on(self) -> bool:
        return time.monotonic() < self.ends and not self.wrong

    def ask(self, kind: str, port: int, chosen: random.Random) -> None:
        """Send requests of one kind to one port."""
        try:
            while self.goes_on():
                self._ask_by_one(kind, port, chosen)
        except Exception as error:
            self.wrong.append(f"{kind}: {error!r}")

    def _ask_by_one(self, kind: str, port: int, chosen: random.Random) -> None:
        trusting = ssl._create_unverified_context()
        connection = (
            http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=trusting)
            if kind == "tls"
            else http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        )
        answered = 0
        for _ in range(REQUESTS_OF_A_CONNECTION):
            path, bodies = chosen.choice(list(ANSWERS[kind].items()))
            connection.request("GET", path)
            response = connection.getresponse()
            content = response.read()
            is_right = content in bodies if bodies else content.startswith(b"# HELP ")
            if response.status != 200 or not is_right:
                self.wrong.append(f"{kind}{path}: {response.status} {content[:100]!r}")
            if (path == "/fields" or kind in {"asgi", "wsgi"}) and not any(response.getheader(name) for name in FIELDS):
                self.wrong.append(f"{kind}{path}: {response.getheaders()}")
            answered += 1
            if not self.goes_on():
                break
        connection.close()
        with self._lock:
            self.answered[kind] += answered

    def talk(self, port: int) -> None:
        """Exchange messages of websockets."""
        try:
            while self.goes_on():
                # No pings: PyPy's locks do not bear the thread that would send them.
                with connect(f"ws://127.0.0.1:{port}", compression=None, open_timeout=60, ping_interval=None) as client:
                    for number in range(REQUESTS_OF_A_CONNECTION):
                        sent = "publish" if number % 10 == 0 else b"%d" % number if number % 2 else str(number)
                        client.send(sent)
                        # Others send to it as well.
                        while (received := client.recv(timeout=60)) != sent:
                            if received not in {"told", "published"}:
                                self.wrong.append(f"websocket: {received[:100]!r} instead of {sent!r}")
                        self.answered["websocket"] += 1
                        if not self.goes_on():
                            break
        except Exception as error:
            self.wrong.append(f"websocket: {error!r}")


def certificate(directory: str) -> list[str]:
    """Make a certificate, where openssl is there."""
    if shutil.which("openssl") is None:
        return []
    files = [f"{directory}/cert.pem", f"{directory}/key.pem"]
    making = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(["openssl", *making.split(), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


def stress(interpreter: str, threads: int, seconds: float) -> int:
    with tempfile.TemporaryDirectory() as directory:
        command = [interpreter, str(SERVED), str(threads), str(seconds), *certificate(directory)]
        environment = {**os.environ, "PYTHONPATH": str(SERVED.parents[2])}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            ports = json.loads(server.stdout.readline())
            load = Load(ports, seconds)
            clients = [
                threading.Thread(target=load.ask, args=(kind, port, random.Random(port)))
                for kind, each in ports.items()
                for port in each
            ]
            # One port is that of several threads.
            group = ports["group"] * threads
            clients += [
                threading.Thread(target=load.ask, args=("group", port, random.Random(seed))) for seed, port in enumerate(group)
            ]
            clients += [threading.Thread(target=load.talk, args=(port,)) for port in (*ports["app"], *group)]
            for each in clients:
                each.start()
            for each in clients:
                each.join()
            # It waits for the end of this.
            server.stdin.close()
            said = server.stdout.read().strip()
            status = server.wait(120)
    print(f"answered: {dict(load.answered)}; wrong: {load.wrong[:10]}; server: {said}, status {status}")
    return 1 if load.wrong or status or set(ports) - set(load.answered) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2, help="apps of each kind, each in a thread of its own")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--server", default=sys.executable, help="the interpreter that serves (default: the one that loads)")
    arguments = parser.parse_args()
    sys.exit(stress(arguments.server, arguments.threads, arguments.seconds))

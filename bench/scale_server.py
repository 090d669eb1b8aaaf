"""The server of bench/scale.py. Usage: python bench/scale_server.py MODE [ARGUMENTS] PORT, 0 for any.

MODE is ``idle``: hello on /, echoing websockets on /plain, /shared and /dedicated, which differ in compression; with a CERTIFICATE,
a KEY and 0 or 1 for low memory behind it over TLS. Or ``hello`` or ``work``: a number of WORKERS that answer at once, or after
some computing.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

from socketify import App, AppListenOptions, AppOptions, CompressOptions, OpCode, Request, Response, WebSocket
from socketify.cli.main import main as command_line

#: With pings, which clients answer.
IDLE_TIMEOUT = 16
#: Rounds of computing in Python, so that a request costs about as much as that of a small application.
WORK_ROUNDS = 2_000
COMPRESSION = {
    "/plain": CompressOptions.DISABLED,
    "/shared": CompressOptions.SHARED_COMPRESSOR | CompressOptions.SHARED_DECOMPRESSOR,
    "/dedicated": CompressOptions.DEDICATED_COMPRESSOR_4KB | CompressOptions.DEDICATED_DECOMPRESSOR_4KB,
}


def answer(res: Response, _req: Request) -> None:
    """Answers at once."""
    res.end("Hello, World!")


def compute(res: Response, _req: Request) -> None:
    """Answers after some computing."""
    res.end(str(sum(number * number for number in range(WORK_ROUNDS))))


def hello(app: App) -> None:
    """Is what workers serve as ``hello``."""
    app.get("/", answer)


def work(app: App) -> None:
    """Is what workers serve as ``work``."""
    app.get("/", compute)


def serve_idle(*tls: str, port: int) -> None:
    """Serves connections that mostly wait."""

    def echo(ws: WebSocket, message: str | bytes, opcode: OpCode) -> None:
        ws.send(message, opcode, compress=True)

    options = None
    if tls:
        certificate, key, low_memory = tls
        options = AppOptions(cert_file_name=certificate, key_file_name=key, ssl_prefer_low_memory_usage=int(low_memory))
    app = App(options)
    hello(app)
    for path, compression in COMPRESSION.items():
        app.ws(path, {"compression": compression, "idle_timeout": IDLE_TIMEOUT, "message": echo})
    where = AppListenOptions(port=port, host="127.0.0.1")
    app.listen(where, lambda config: print(f"listening {config.port}", flush=True)).run()


def announce_when_open(port: int) -> None:
    """Tells where the workers listen, as soon as they do."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    print(f"listening {port}", flush=True)


def serve_workers(mode: str, workers: str, port: int) -> int:
    """Serves with several processes, as the command line does."""
    if port == 0:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
    if os.fork() == 0:
        announce_when_open(port)
        os._exit(0)
    flags = ["--port", str(port), "--workers", workers, "--interface", "socketify", "--disable-listen-log", "True"]
    return command_line([f"scale_server:{mode}", "--app-dir", str(Path(__file__).parent), *flags])


def main() -> int:
    """Serves until stopped."""
    mode, *arguments, port = sys.argv[1:]
    if mode == "idle":
        serve_idle(*arguments, port=int(port))
        return 0
    return serve_workers(mode, *arguments, port=int(port))


if __name__ == "__main__":
    sys.exit(main())

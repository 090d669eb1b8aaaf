"""The server of bench/scale.py. Usage: python bench/scale_server.py MODE [ARGUMENTS] PORT, 0 for any.

MODE is ``idle``: hello on /, echoing websockets on /plain, /shared and /dedicated, which differ in compression; over TLS where
a CERTIFICATE, a KEY and 0 or 1 for low memory follow. Or ``crowd``: the same in a number of LOOPS of one process, all of which
listen on the port. Or ``hello``, ``work``, ``long_work`` or ``table``: a number of WORKERS, and of THREADS of each, 1 where
none is given, that answer at once, after some computing, after more of it, or after looking something up in a large table.
"""

from __future__ import annotations

import ctypes
import functools
import os
import queue
import socket
import sys
import threading
import time
from pathlib import Path

from socketify import App, AppListenOptions, AppOptions, CompressOptions, OpCode, Request, Response, WebSocket
from socketify.cli.main import main as command_line

#: With pings, which clients answer.
IDLE_TIMEOUT = 24
#: Of unshare(2).
CLONE_FILES = 0x400
#: Rounds of computing in Python, so that a request costs about as much as that of a small application.
WORK_ROUNDS = 2_000
LONG_WORK_ROUNDS = 20_000
#: Of a table: about 50 MB.
TABLE_ROWS = 400_000
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


def compute_long(res: Response, _req: Request) -> None:
    """Answers after more of it."""
    res.end(str(sum(number * number for number in range(LONG_WORK_ROUNDS))))


def hello(app: App) -> None:
    """Is what workers serve as ``hello``."""
    app.get("/", answer)


def work(app: App) -> None:
    """Is what workers serve as ``work``."""
    app.get("/", compute)


def long_work(app: App) -> None:
    """Is what workers serve as ``long_work``."""
    app.get("/", compute_long)


@functools.cache
def rows() -> dict[int, str]:
    """Makes what an application may keep in memory, once in a process."""
    return {number: f"the text of number {number}" for number in range(TABLE_ROWS)}


def table(app: App) -> None:
    """Is what workers serve as ``table``."""
    found = rows()
    app.get("/", lambda res, _req: res.end(found[TABLE_ROWS - 1]))


def idle_app(options: AppOptions | None, port: int, ports: list[AppListenOptions]) -> App:
    """Makes the app whose connections mostly wait, and lets it listen; where goes to ``ports``."""

    def echo(ws: WebSocket, message: str | bytes, opcode: OpCode) -> None:
        ws.send(message, opcode, compress=True)

    app = App(options)
    hello(app)
    for path, compression in COMPRESSION.items():
        app.ws(path, {"compression": compression, "idle_timeout": IDLE_TIMEOUT, "message": echo})
    app.listen(AppListenOptions(port=port, host="127.0.0.1"), ports.append)
    return app


def serve_idle(*tls: str, port: int) -> None:
    """Serves connections that mostly wait."""
    options = None
    if tls:
        certificate, key, low_memory = tls
        options = AppOptions(cert_file_name=certificate, key_file_name=key, ssl_prefer_low_memory_usage=int(low_memory))
    where: list[AppListenOptions] = []
    app = idle_app(options, port, where)
    print(f"listening {where[0].port}", flush=True)
    app.run()


def serve_crowd(loops: str, port: int) -> None:
    """Serves the same in several event loops, one of them the main thread's.

    The kernel gives each connection to one of them. Each has a table of descriptors of its own, so that the process may have as
    many connections as the limit of one table allows, times the loops.
    """
    where: list[AppListenOptions] = []
    ready: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()

    def serve() -> None:
        try:
            own_descriptors()
            app = idle_app(None, where[0].port, [])
        except OSError as error:
            ready.put(error)
            return
        ready.put(None)
        app.run()

    app = idle_app(None, port, where)
    for _ in range(int(loops) - 1):
        threading.Thread(target=serve, daemon=True).start()
        if (error := ready.get()) is not None:
            raise error
    print(f"listening {where[0].port}", flush=True)
    app.run()


def own_descriptors() -> None:
    """Gives the calling thread its own table of descriptors. Raises OSError when the system refuses."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_FILES) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot give a thread descriptors of its own: {os.strerror(number)}")


def announce_when_open(port: int) -> None:
    """Tells where the workers listen, as soon as they do."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    print(f"listening {port}", flush=True)


def serve_workers(mode: str, workers: str, threads: str = "1", *, port: int) -> int:
    """Serves with several processes, and threads of these, as the command line does."""
    if port == 0:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
    if os.fork() == 0:
        announce_when_open(port)
        os._exit(0)
    flags = ["--port", str(port), "--workers", workers, "--interface", "socketify", "--disable-listen-log", "True"]
    flags += ["--threads-per-worker", threads]
    return command_line([f"scale_server:{mode}", "--app-dir", str(Path(__file__).parent), *flags])


def main() -> int:
    """Serves until stopped."""
    mode, *arguments, port = sys.argv[1:]
    if mode == "idle":
        serve_idle(*arguments, port=int(port))
        return 0
    if mode == "crowd":
        serve_crowd(*arguments, port=int(port))
        return 0
    return serve_workers(mode, *arguments, port=int(port))


if __name__ == "__main__":
    sys.exit(main())

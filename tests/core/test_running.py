"""Running and ending an app, inside asyncio and by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest

from socketify import App, AppListenOptions, AppOptions, Limits

PROGRAM = """
import asyncio
from socketify import App, Limits
app = App(limits=Limits(keep_alive_timeout=60))
async def slow(res, req):
    await asyncio.sleep(0.5)
    res.end("slow")
app.get("/", lambda res, req: res.end("Hello, World!"))
app.get("/slow", slow)
app.on_shutdown(lambda: print("stopped", flush=True))
app.listen(0, lambda config: print(config.port, flush=True))
app.run()
"""


class Program:
    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments or ("-c", PROGRAM)

    def __enter__(self) -> Program:
        environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
        if not (Path(__file__).parents[2] / "socketify" / "native" / "libsocketify.so").exists():
            environment = dict(os.environ)
        self.process = subprocess.Popen(
            [sys.executable, "-u", *self.arguments], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None
        self.stdout = self.process.stdout
        self.url = f"http://127.0.0.1:{int(self.stdout.readline().split()[-1])}"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.stdout.close()

    def cpu_ticks(self) -> int:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_requests_finish(number: signal.Signals) -> None:
    with Program() as program:
        with socket.create_connection(("127.0.0.1", int(program.url.rpartition(":")[2]))) as connection:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.2)
            program.process.send_signal(number)
            answer = connection.recv(1000)
        assert b"Connection: close" in answer
        assert answer.endswith(b"slow")
        assert program.process.wait(5) == -number
        assert program.stdout.read() == "stopped\n"


def test_an_idle_server_uses_no_cpu() -> None:
    with Program() as program, httpx.Client(base_url=program.url) as client:
        assert client.get("/").text == "Hello, World!"
        time.sleep(0.5)
        before = program.cpu_ticks()
        time.sleep(3)
        assert program.cpu_ticks() - before <= 1


def test_serve_lives_inside_a_running_loop() -> None:
    async def main() -> str:
        app = App()
        ports: list[int] = []
        app.get("/", lambda res, _req: res.end("inside")).listen(0, lambda config: ports.append(config.port))
        serving = asyncio.create_task(app.serve())
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{ports[0]}")
        app.close()
        await serving
        return answer.text

    assert asyncio.run(main()) == "inside"
    assert asyncio.run(main()) == "inside"


def test_listen_on_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")

    async def main() -> str:
        app = App()
        app.get("/", lambda res, _req: res.end("unix" + res.get_remote_address()))
        app.listen(AppListenOptions(domain=path))
        serving = asyncio.create_task(app.serve())
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=path)) as client:
            answer = await client.get("http://unix/")
        app.close()
        await serving
        return answer.text

    assert asyncio.run(main()) == "unix"
    assert not Path(path).exists()


def test_listen_errors_say_which() -> None:
    app = App()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}: the address is taken"):
            app.listen(AppListenOptions(port=port, host="127.0.0.1"))
    with pytest.raises(OSError, match="no such host"):
        app.listen(AppListenOptions(port=1, host="no-such-host.invalid"))
    with pytest.raises(OSError, match=r"/no/such/dir/s\.sock"):
        app.listen(AppListenOptions(domain="/no/such/dir/s.sock"))
    app.close()


def test_options_are_checked() -> None:
    with pytest.raises(FileNotFoundError, match="key_file_name"):
        AppOptions(key_file_name="/no/such/key.pem")
    with pytest.raises(TypeError, match="port must be int"):
        AppListenOptions(port="80")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="between"):
        AppListenOptions(port=70000)
    with pytest.raises(ValueError, match="domain excludes"):
        AppListenOptions(port=1, domain="/x")


def test_the_hello_example_runs() -> None:
    with Program(str(Path(__file__).parents[2] / "examples" / "hello.py"), "0") as program:
        assert httpx.get(program.url).text == "Hello, World!"
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(5) == -signal.SIGTERM


def test_a_handler_that_blocks_costs_no_other_client_its_connection(serve) -> None:
    def block(res, _req) -> None:
        time.sleep(3)
        res.end("at last")

    server = serve(
        lambda app: app.get("/block", block).get("/", lambda res, _req: res.end("ok")), limits=Limits(keep_alive_timeout=1)
    )
    with server.connect() as other, server.connect() as blocked:
        other.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert other.recv(1000).endswith(b"ok")
        blocked.sendall(b"GET /block HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)
        # In time, but nobody looks.
        other.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert blocked.recv(1000).endswith(b"at last")
        assert other.recv(1000).endswith(b"ok")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_connections_that_a_forked_child_holds_can_close(serve: Callable[..., Any]) -> None:
    """The set of descriptors forgets a connection with its memory, also when a child keeps a copy of the descriptor."""
    server = serve(lambda app: app.get("/", lambda res, req: res.end("x")))
    connections = [server.connect() for _ in range(20)]
    for connection in connections:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(1000)
    child = os.fork()
    if child == 0:
        time.sleep(0.5)
        os._exit(0)
    for connection in connections:
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
    for _ in range(20):
        assert b"200 OK" in server.exchange(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    os.waitpid(child, 0)
    assert b"200 OK" in server.exchange(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


def test_apps_in_several_threads_share_a_port_of_one_process() -> None:
    apps: list[App] = []
    ports: list[int] = []
    started = threading.Semaphore(0)
    failures: list[BaseException] = []

    def serve(number: int) -> None:
        try:
            app = App()
            app.get("/", lambda res, req: res.end(str(number)))
            app.on_start(started.release)
            app.listen(
                AppListenOptions(port=ports[0] if ports else 0, host="127.0.0.1"), lambda config: ports.append(config.port)
            )
            apps.append(app)
            app.run()
        except BaseException as error:
            failures.append(error)
            started.release()

    threads = [threading.Thread(target=serve, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
        assert started.acquire(timeout=10)
    assert not failures
    assert len(set(ports)) == 1
    answers = {httpx.get(f"http://127.0.0.1:{ports[0]}/").text for _ in range(100)}
    assert answers == {"0", "1", "2"}
    for app in apps:
        app.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert not failures

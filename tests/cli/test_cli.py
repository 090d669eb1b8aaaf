"""``python -m socketify``, as a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_command import MODULE, ROOT
from websockets.sync.client import connect

from socketify.cli.arguments import parse_arguments


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["app:asgi"], "asgi"),
        (["app:wsgi"], "wsgi"),
        (["app:wsgi", "--threads", "4"], "wsgi"),
        (["app:make", "--factory"], "wsgi"),
        (["app:ssgi"], "ssgi"),
        (["app:run"], "native"),
        (["app:made", "--factory"], "native"),
        (["app:run", "--interface", "socketify", "--loop", "asyncio"], "native"),
        (["app:asgi", "--workers", "2"], "asgi"),
    ],
)
def test_each_interface_is_found_and_served(command: Any, arguments: list[str], answer: str) -> None:
    running = command(*arguments, "--port", "0")
    assert httpx.get(running.url).text.startswith(answer)
    assert running.stop() == 0


def test_the_application_configures_its_own_logging(command: Any, tmp_path: Path) -> None:
    (tmp_path / "logs.py").write_text(
        "import logging\nlogging.basicConfig(format='mine %(name)s %(message)s', level=logging.DEBUG)\n"
        "def run(app):\n    logging.getLogger('shop').debug('made')\n    app.get('/', fail)\n"
        "def fail(res, req):\n    raise ValueError('on purpose')\n"
    )
    running = command("logs:run", "--port", "0")
    assert httpx.get(running.url).status_code == 500
    running.wait_for("ValueError: on purpose")
    assert "mine shop made" in running.said
    # The server's own words are told once, as it tells them.
    assert running.said.count("ValueError: on purpose") == 1
    assert "ERROR: a handler failed" in running.said
    assert running.stop() == 0


def test_flask_adds_its_own_handler(command: Any, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from flask import Flask\napplication = Flask('shop')\n@application.get('/')\n"
        "def hello():\n    application.logger.error('as Flask says it')\n    return 'hello'\n"
    )
    running = command("shop:application", "--port", "0")
    assert httpx.get(running.url).text == "hello"
    # With the time and the module, which is Flask's own format.
    running.wait_for(r"\] ERROR in shop: as Flask says it")
    assert running.stop() == 0


@pytest.mark.parametrize("listens", [True, False])
def test_a_descriptor_that_is_bound_is_listened_on(tmp_path: Path, listens: bool) -> None:
    (tmp_path / "app.py").write_text(MODULE)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if listens:
            bound.listen()
        line = [sys.executable, "-m", "socketify", "app:wsgi", "--fd", str(bound.fileno())]
        with subprocess.Popen(
            line,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            pass_fds=[bound.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Listening on")
            assert httpx.get(f"http://127.0.0.1:{bound.getsockname()[1]}/").text.startswith("wsgi")
            process.terminate()
            assert process.wait(20) == -signal.SIGTERM


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_descriptor_that_cannot_listen_is_refused(tmp_path: Path, kind: socket.SocketKind) -> None:
    with socket.socket(type=kind) as given:
        if kind == socket.SOCK_DGRAM:
            given.bind(("127.0.0.1", 0))
        found = subprocess.run(
            [sys.executable, "-m", "socketify", "app:wsgi", "--fd", str(given.fileno())],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            pass_fds=[given.fileno()],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert found.returncode == 2
    why = "it is not bound" if kind == socket.SOCK_STREAM else "Operation not supported"
    assert found.stderr == f"socketify: cannot listen on descriptor {given_number(found)}: {why}\n"


def given_number(found: Any) -> str:
    return str(found.args[-1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("arguments", [[], ["--workers", "2"], ["--loop", "asyncio"], ["--uds", "s"], ["--reload"]])
def test_it_ends_by_the_signal_that_stops_it_without_a_word(
    command: Any, tmp_path: Path, arguments: list[str], number: signal.Signals
) -> None:
    running = command("app:asgi", *(arguments if "--uds" in arguments else [*arguments, "--port", "0"]))
    assert running.url
    running.process.send_signal(number)
    assert running.process.wait(20) == -number
    assert running.said.count("\n") == 1
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["app:asgi"], "asgi hi"),
        (["app:wsgi", "--ws", "app:ws"], "native hi"),
        (["app:wsgi", "--ws", "app:asgi"], "asgi hi"),
        (["app:asgi", "--ws", "app:ws", "--ws-per-message-deflate", "True"], "native hi"),
        (["app:run"], "native hi"),
        (["app:run", "--ws", "app:asgi"], "asgi hi"),
        (["app:made", "--factory", "--ws", "app:asgi"], "asgi hi"),
    ],
)
def test_websockets_beside_any_interface(command: Any, arguments: list[str], answer: str) -> None:
    running = command(*arguments, "-p", "0", "-h", "127.0.0.1")
    with connect(running.url.replace("http", "ws")) as client:
        client.send("hi")
        assert client.recv(timeout=10) == answer
    assert httpx.get(running.url).status_code == 200


def test_no_websockets_when_none_are_wanted(command: Any) -> None:
    running = command("app:run", "--port", "0", "--ws", "none")
    with pytest.raises(Exception, match="HTTP 200"), connect(running.url.replace("http", "ws")):
        pass


def test_unix_sockets_and_descriptors(command: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    running = command("app:wsgi", "--uds", path)
    assert running.url == f"unix:{path}"
    with httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
        assert client.get("http://a/").text.startswith("wsgi")
    assert running.stop() == 0
    assert not Path(path).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere:app"], "there is no module 'nowhere'"),
        (["app:nothing"], "module 'app' has no attribute 'nothing'"),
        (["app"], "must be module:attribute"),
        (["app:number"], "app must be callable"),
        (["app.py:asgi"], "modules are named without path and '.py', as in app:app"),
        (["app:number", "--factory"], "--factory: app:number must be callable, not int"),
        (["app:asgi", "--fd", "77"], "cannot listen on descriptor 77: Bad file descriptor"),
        (["app:asgi", "--uds", "nowhere/s"], "cannot listen on Unix socket 'nowhere/s': No such file or directory"),
        (["app:asgi", "--uds", "x" * 200], "cannot listen on Unix socket 'xxx"),
        (["app:asgi", "--host", "no.such.invalid"], "cannot listen on no.such.invalid:0: "),
        (["app:asgi", "--app-dir", "nowhere"], "--app-dir: no such directory: 'nowhere'"),
        (["app:asgi", "--reload-dir", "nowhere"], "--reload-dir: no such directory: 'nowhere'"),
        (["app:asgi", "--root-path", "api"], "root_path must be empty or begin with '/'"),
        (["app:asgi", "--bogus"], "unrecognized arguments: --bogus"),
        (["app:made", "--factory", "--ssl-certfile", "x.pem", "--access-log", "json"], "--access-log, --ssl-certfile cannot"),
        (["app:asgi", "--server-header", "a\nb"], "must be True, False, or up to 128 printable characters"),
        (["app:asgi", "--ws-idle-timeout", "5"], "must be 0, or from 8 to 960, not 5"),
        (["app:asgi", "--ssl-client-certificate", "optional"], "--ssl-client-certificate needs --ssl-ca-certs"),
        (["app:asgi", "--ssl-client-certificate", "required", "--ssl-ca-certs", "x"], "--ssl-ca-certs needs --ssl-certfile"),
        (["app:three"], "cannot tell the interface"),
        (["app:make"], "needs no arguments: if it makes the application, give what it returns, or pass --factory"),
        (["app:make_later"], "makes an application asynchronously"),
        (["app:make_later", "--factory"], "--factory: app:make_later is a coroutine function: give a function that returns"),
        (["app:asgi", "--port", "70000"], "argument --port/-p: must be from 0 to 65535, not 70000"),
        (["app:asgi", "--port", "1", "--uds", "x"], "--uds excludes --port"),
        (["app:asgi", "--ssl-certfile", "none.pem"], "cert_file_name: no such file: 'none.pem'"),
        (["app:asgi", "--ws-auto-ping", "maybe"], "must be True or False, not 'maybe'"),
        (["app:run", "--proxy-headers", "True", "--forwarded-allow-ips", "x"], "'x' is no address or network"),
        (["app:asgi", "--env-file", "none"], "no such file: 'none'"),
        (["app:asgi", "--workers", "2", "--interface", "ssgi", "--ws-idle-timeout", "3"], "must be 0, or from 8 to 960, not 3"),
        ([], "APP is missing"),
    ],
)
def test_errors_are_one_line_and_status_2(command: Any, arguments: list[str], said: str) -> None:
    place = [] if {"--port", "--uds", "--fd"} & set(arguments) else ["--port", "0"]
    running = command(*arguments, *place)
    assert running.process.wait(20) == 2
    assert said in running.said
    assert len(running.said.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "environ", "name"),
    [
        (["--ssl-reload"], {}, "reload"),
        (["--ssl-minimum-version", "1.3"], {}, "minimum-version"),
        (["--ssl-ciphers", "x"], {}, "ciphers"),
        (["--ssl-keyfile", "x"], {}, "keyfile"),
        ([], {"SOCKETIFY_SSL_RELOAD": "yes"}, "reload"),
        ([], {"SOCKETIFY_SSL_CA_CERTS": "x"}, "ca-certs"),
    ],
)
def test_who_asks_for_tls_does_not_get_plain_http(
    capsys: pytest.CaptureFixture[str], flags: list[str], environ: dict[str, str], name: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_arguments(["app:asgi", *flags], environ)
    assert f"--ssl-{name} needs --ssl-certfile" in capsys.readouterr().err


def test_a_taken_port(command: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken_port = taken.getsockname()[1]
        running = command("app:asgi", "--port", str(taken_port))
        assert running.process.wait(20) == 2
    assert f"cannot listen on 127.0.0.1:{taken_port}: the address is taken" in running.said
    assert len(running.said.splitlines()) == 1
    debugged = command("nowhere:app", "--port", "0", "--log-level", "debug")
    assert debugged.process.wait(20) == 2
    assert "Traceback" in debugged.said


def test_what_the_module_raises_is_told(command: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import does_not_exist\n")
    running = command("broken:app", "--port", "0")
    assert running.process.wait(20) == 2
    assert "No module named 'does_not_exist' (broken.py, line 1)" in running.said
    (tmp_path / "broken.py").write_text("\n1 / 0\ndef make():\n    raise KeyError('x')\n")
    for flags in ([], ["--workers", "2"]):
        running = command("broken:app", "--port", "0", *flags)
        assert running.process.wait(20) == 2
        assert "module 'broken' cannot be imported: ZeroDivisionError: division by zero (broken.py, line 2)" in running.said
        assert "Traceback" not in running.said
    (tmp_path / "broken.py").write_text("def make():\n    raise KeyError('x')\n")
    running = command("broken:make", "--port", "0", "--factory")
    assert running.process.wait(20) == 2
    assert "--factory: broken:make failed: KeyError: 'x' (broken.py, line 2)" in running.said


def test_a_start_that_fails_is_told(command: Any, tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text(
        "def run(app):\n    app.on_start(connect)\ndef connect():\n    raise ConnectionError('no database')\n"
        "async def asgi(scope, receive, send):\n    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    for name, said in (("run", "ConnectionError: no database (start.py, line 4)"), ("asgi", "socketify: no database")):
        for flags in ([], ["--workers", "2"]):
            running = command(f"start:{name}", "--port", "0", *flags)
            assert running.process.wait(20) == 2
            assert said in running.said
            assert "Listening" not in running.said
            assert "Traceback" not in running.said


def test_all_addresses_of_a_name_are_served(command: Any) -> None:
    running = command("app:asgi", "--port", "0", "--host", "localhost")
    running.wait_for("Listening")
    for url in re.findall(r"http://\S+", running.said):
        assert httpx.get(url).text.startswith("asgi")
    port = int(running.url.rpartition(":")[2])
    assert httpx.get(f"http://127.0.0.1:{port}").text.startswith("asgi")


def test_headers_of_the_server(command: Any) -> None:
    assert httpx.get(command("app:asgi", "--port", "0").url).headers["server"] == "socketify"
    answer = httpx.get(command("app:asgi", "--port", "0", "--server-header", "mine/1", "--date-header", "False").url)
    assert answer.headers["server"] == "mine/1"
    assert "date" not in answer.headers
    assert "server" not in httpx.get(command("app:wsgi", "--port", "0", "--server-header", "off").url).headers


def test_limits_of_requests(command: Any) -> None:
    running = command("app:asgi", "--port", "0", "--limit-max-header-count", "3", "--limit-max-target-bytes", "50")
    host = ("127.0.0.1", int(running.url.rpartition(":")[2]))
    for request, status in (
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", b"431"),
        (b"GET /" + b"x" * 60 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"200"),
    ):
        with socket.create_connection(host) as connection:
            connection.sendall(request)
            assert connection.recv(4096).split(b" ")[1] == status


def test_a_bound_on_requests_at_a_time(command: Any) -> None:
    running = command("app:asgi", "--port", "0", "--limit-concurrency", "1")
    with connect(running.url.replace("http", "ws")):
        answer = httpx.get(running.url)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_the_application_as_a_variable(command: Any) -> None:
    running = command("--port", "0", env={"SOCKETIFY_APP": "app:wsgi"})
    assert httpx.get(running.url).text.startswith("wsgi")


def test_help_version_config_and_completion(command: Any) -> None:
    for flag, said in (("--help", "--ws-max-size"), ("-v", "socketify 0."), ("--version", "socketify 0.")):
        running = command(flag)
        assert running.process.wait(20) == 0
        assert said in running.said
    running = command("app:asgi", "--print-config", env={"SOCKETIFY_PORT": "1234", "SOCKETIFY_WS_AUTO_PING": "False"})
    assert running.process.wait(20) == 0
    shown = json.loads(running.said)
    assert (shown["port"], shown["host"], shown["ws_auto_ping"], shown["workers"]) == (1234, "127.0.0.1", False, 1)
    running = command("app:asgi", "--print-config", env={"WEB_CONCURRENCY": "3"})
    running.process.wait(20)
    assert json.loads(running.said)["workers"] == 3
    running = command("app:asgi", env={"SOCKETIFY_PORT": "x"})
    assert running.process.wait(20) == 2
    assert "SOCKETIFY_PORT: must be an int, not 'x'" in running.said
    running = command("--print-completion", "bash")
    assert running.process.wait(20) == 0
    assert "complete" in running.said


def test_environment_file(command: Any, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("GREETING=hello\n")
    (tmp_path / "greet.py").write_text(
        "import os\ndef run(app):\n    app.get('/', lambda res, req: res.end(os.environ['GREETING']))\n"
    )
    running = command("greet:run", "--port", "0", "--env-file", "env")
    assert httpx.get(running.url).text == "hello"
    overridden = command("greet:run", "--port", "0", "--env-file", "env", env={"GREETING": "hi"})
    assert httpx.get(overridden.url).text == "hi"


WHO = """
async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body = f"{scope['scheme']} {scope['client'][0]}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['wsgi.url_scheme']} {environ['REMOTE_ADDR']}".encode()]

def ssgi(type, server_address, remote_address, method, path, query_string, get_header, res):
    scheme = get_header("x-forwarded-proto") if remote_address == "8.8.8.8:0" else "http"
    res.send(f"{scheme} {remote_address.partition(':')[0]}")

def run(app):
    app.any("/*", lambda res, req: res.end(f"{req.get_scheme()} {res.get_remote_address()}"))
"""
INTERFACES = ["asgi", "wsgi", "ssgi", "run"]


@pytest.mark.parametrize("name", INTERFACES)
def test_proxies_and_access_log(command: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "who.py").write_text(WHO)
    running = command(
        f"who:{name}", "--port", "0", "--proxy-headers", "True", "--access-log", "json", "--server-header", "False"
    )
    fields = {"X-Forwarded-For": "9.9.9.9, 8.8.8.8, 127.0.0.1", "X-Forwarded-Proto": "https"}
    answer = httpx.get(running.url + "/a%20b?c=d", headers=fields)
    assert "server" not in answer.headers
    assert answer.text == "https 8.8.8.8"
    entry = json.loads(running.wait_for(r"\{.*\}"))
    assert entry["client"] == "8.8.8.8"
    assert (entry["method"], entry["target"], entry["status"]) == ("GET", "/a%20b?c=d", 200)
    assert entry["bytes"] == len(answer.content)
    distrusted = command(
        f"who:{name}", "--port", "0", "--proxy-headers", "True", "--forwarded-allow-ips", "10.0.0.0/8", "--access-log", "common"
    )
    assert httpx.get(distrusted.url, headers=fields).text == "http 127.0.0.1"
    assert distrusted.wait_for(r'127\.0\.0\.1 - - \[.*\] "GET / HTTP/1\.1" 200 \d+')


@pytest.mark.parametrize("name", INTERFACES)
def test_a_proxy_on_a_unix_socket(command: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "who.py").write_text(WHO)
    path = str(tmp_path / "s")
    running = command(f"who:{name}", "--uds", path, "--proxy-headers", "True", "--access-log", "common")
    assert running.url == f"unix:{path}"
    with httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
        fields = {"X-Forwarded-For": "8.8.8.8", "X-Forwarded-Proto": "https"}
        assert client.get("http://a/", headers=fields).text == "https 8.8.8.8"
    assert running.wait_for(r'8\.8\.8\.8 - - \[.*\] "GET / HTTP/1\.1" 200 \d+')


@pytest.mark.parametrize("name", INTERFACES)
def test_workers_are_replaced_after_so_many_requests(command: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "who.py").write_text(WHO)
    running = command(f"who:{name}", "--port", "0", "--limit-max-requests", "3", "--limit-max-requests-jitter", "1")
    for _ in range(10):
        assert httpx.get(running.url).text.startswith("http")
    assert running.stop() == 0


def test_reload(command: Any, tmp_path: Path) -> None:
    running = command("app:run", "--port", "0", "--reload")
    assert httpx.get(running.url).text == "native"
    deadline = time.monotonic() + 20
    text = ""
    while text != "changed" and time.monotonic() < deadline:
        (tmp_path / "app.py").write_text("def run(app):\n    app.get('/', lambda res, req: res.end('changed'))\n")
        time.sleep(0.5)
        with contextlib.suppress(httpx.HTTPError):
            text = httpx.get(running.url).text
    assert text == "changed"
    assert running.stop(signal.SIGINT) == 0


def test_reloading_leaves_no_orphan(command: Any) -> None:
    running = command("app:asgi", "--port", "0", "--reload")
    pid = int(httpx.get(running.url).text.split()[1])
    running.process.kill()
    running.process.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(pid)


def test_serve_is_the_command_in_one_call(tmp_path: Path) -> None:
    program = (
        "import sys, os, signal, threading; from app import wsgi; import socketify\n"
        "def listening(config):\n"
        "    print(config.port, flush=True)\n"
        "socketify.serve(wsgi, port=0, on_listen=listening)\n"
    )
    (tmp_path / "app.py").write_text(MODULE)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        assert httpx.get(f"http://127.0.0.1:{port}/").text.startswith("wsgi")
        process.terminate()
        assert process.wait(20) == -signal.SIGTERM

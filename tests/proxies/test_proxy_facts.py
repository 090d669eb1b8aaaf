"""What proxies of Debian say of their clients, and applications find: by the PROXY protocol, and by fields."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_servers import read_all
from front import NGINX_BEGINNING, USER, free_port
from tls_files import Files

APPLICATIONS = """
import json
from socketify import App

async def asgi(scope, receive, send):
    extensions = scope["extensions"]
    facts = extensions.get("proxy_protocol", {})
    said = [scope["scheme"], scope["client"][0], facts.get("alpn"), facts.get("authority"), facts.get("tls", {}).get("version")]
    said += [dict(scope["headers"])[b"host"].decode(), scope["root_path"], scope["path"]]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})

def wsgi(environ, start_response):
    start_response("200 OK", [])
    names = ("wsgi.url_scheme", "REMOTE_ADDR", "HTTP_HOST", "SCRIPT_NAME", "PATH_INFO")
    return [json.dumps([environ[name] for name in names]).encode()]

def ssgi(kind, server, client, method, path, query, header, res):
    res.send(client.rpartition(":")[0])

def run(app):
    app.get("/*", lambda res, req: res.send([req.get_scheme(), res.get_remote_address()]))
"""


@contextlib.contextmanager
def running(command: list[str], folder: Path, port: int, **keywords: Any) -> Iterator[None]:
    """Run a program in the foreground, once it takes connections."""
    folder.chmod(0o755)
    with (folder / f"output{port}").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, **keywords)
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, (folder / f"output{port}").read_text()
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def application(folder: Path, name: str, *flags: str) -> Iterator[int]:
    (folder / "applications.py").write_text(APPLICATIONS)
    port = free_port()
    path = os.pathsep.join(sys.path)
    command = [sys.executable, "-m", "socketify", f"applications:{name}", "--interface", {"run": "socketify"}.get(name, name)]
    with running([*command, "--port", str(port), *flags], folder, port, env={**os.environ, "PYTHONPATH": path}):
        yield port


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def get(port: int, path: str = "/", **fields: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=fields)
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, (response.status, body)
    connection.close()
    return json.loads(body) if body[:1] == b"[" else body.decode()


# ---- hitch: TLS in front, and PROXY protocol v2 behind, with what it says by default


HITCH = """
frontend = "[127.0.0.1]:{port}"
backend = "[127.0.0.1]:{upstream}"
pem-file = "{folder}/server.pem"
write-proxy-v2 = on
alpn-protos = "{alpn}"
workers = 1
daemon = off
{user}
"""


@contextlib.contextmanager
def hitch(folder: Path, upstream: int, alpn: str) -> Iterator[tuple[int, ssl.SSLContext]]:
    files = Files(folder)
    names = files.issue("hitch", "shop.example", "localhost")
    pem = Path(names["cert_file_name"]).read_text() + Path(names["key_file_name"]).read_text()
    (folder / "server.pem").write_text(pem)
    port = free_port()
    user = 'user = "nobody"' if os.geteuid() == 0 else ""
    text = HITCH.format(port=port, upstream=upstream, folder=folder, alpn=alpn, user=user)
    (folder / "hitch.conf").write_text(text)
    context = ssl.create_default_context(cafile=files.ca_file)
    context.set_alpn_protocols(alpn.split(", "))
    with running(["hitch", "--config", str(folder / "hitch.conf")], folder, port):
        yield port, context


def test_hitch(tmp_path: Path) -> None:
    needs("hitch")
    with (
        application(tmp_path, "asgi", "--proxy-protocol") as upstream,
        hitch(tmp_path, upstream, "http/1.1") as (port, context),
    ):
        for _ in range(20):
            connection = socket.create_connection(("127.0.0.1", port), 20)
            with context.wrap_socket(connection, server_hostname="shop.example") as client:
                client.sendall(b"GET /a HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
                answer = read_all(client)
            said = json.loads(answer.partition(b"\r\n\r\n")[2])
            assert said == ["https", "127.0.0.1", "http/1.1", "shop.example", "TLSv1.3", "shop.example", "", "/a"]


def test_hitch_with_http_2(tmp_path: Path) -> None:
    needs("hitch")
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("h2")
    flags = ("--proxy-protocol", "required")
    with application(tmp_path, "asgi", *flags) as upstream, hitch(tmp_path, upstream, "h2, http/1.1") as (port, context):
        client = httpx.Client(http2=True, verify=context)
        for _ in range(20):
            answer = client.get(f"https://localhost:{port}/a")
            assert answer.http_version == "HTTP/2"
            assert answer.json()[:5] == ["https", "127.0.0.1", "h2", "localhost", "TLSv1.3"]
        client.close()


# ---- haproxy


HAPROXY = """
defaults
  mode {mode}
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind 127.0.0.1:{port}
  default_backend application
backend application
  server one 127.0.0.1:{upstream} {send}
"""


@contextlib.contextmanager
def haproxy(folder: Path, upstream: int, send: str, mode: str = "http") -> Iterator[int]:
    port = free_port()
    (folder / "haproxy.cfg").write_text(HAPROXY.format(port=port, upstream=upstream, send=send, mode=mode))
    with running(["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], folder, port):
        yield port


#: Its own checks are headers without a client.
CHECKS = "check inter 50 rise 1 fall 1"


@pytest.mark.parametrize(
    ("name", "send"),
    [
        ("asgi", "send-proxy"),
        ("wsgi", "send-proxy-v2"),
        ("ssgi", "send-proxy-v2 proxy-v2-options unique-id,crc32c"),
        ("run", "send-proxy"),
    ],
)
def test_haproxy(tmp_path: Path, name: str, send: str) -> None:
    needs("haproxy")
    with application(tmp_path, name, "--proxy-protocol") as upstream, haproxy(tmp_path, upstream, f"{send} {CHECKS}") as port:
        for _ in range(3):
            said = get(port)
            assert (said if isinstance(said, str) else said[1]) == "127.0.0.1"
        # Whoever comes without a proxy is refused.
        connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().status == 400
        connection.close()


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2"])
def test_haproxy_in_front_of_tls(tmp_path: Path, send: str) -> None:
    needs("haproxy")
    files = Files(tmp_path)
    names = files.issue("server")
    flags = ("--ssl-certfile", names["cert_file_name"], "--ssl-keyfile", names["key_file_name"], "--proxy-protocol")
    context = ssl.create_default_context(cafile=files.ca_file)
    with application(tmp_path, "run", *flags) as upstream, haproxy(tmp_path, upstream, send, "tcp") as port:
        connection = http.client.HTTPSConnection("localhost", port, timeout=20, context=context)
        connection.request("GET", "/")
        assert json.loads(connection.getresponse().read()) == ["https", "127.0.0.1"]
        connection.close()


# ---- nginx


NGINX = (
    NGINX_BEGINNING
    + """  server {{
    listen 127.0.0.1:{port};
    location /stripped/ {{
      {said}
      proxy_set_header X-Forwarded-Prefix /stripped;
      proxy_pass http://127.0.0.1:{upstream}/;
    }}
    location / {{
      {said}
      proxy_set_header X-Forwarded-Prefix "";
      proxy_pass http://127.0.0.1:{upstream};
    }}
    location /forwarded {{
      proxy_set_header X-Forwarded-For "";
      proxy_set_header X-Forwarded-Host "";
      proxy_set_header X-Forwarded-Prefix "";
      proxy_set_header Forwarded 'for=203.0.113.9;proto=https;host="shop.example:8443"';
      proxy_pass http://127.0.0.1:{upstream};
    }}
  }}
}}
"""
)

SAID = """
proxy_set_header X-Forwarded-For "$http_x_forwarded_for, 203.0.113.7";
proxy_set_header X-Forwarded-Proto https;
proxy_set_header X-Forwarded-Host $http_host;
proxy_set_header Forwarded "";
"""
FIELDS = "forwarded,x-forwarded-for,x-forwarded-proto,x-forwarded-host,x-forwarded-prefix"


@contextlib.contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[int]:
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(port=port, upstream=upstream, folder=folder, user=USER, said=SAID))
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    with running(command, folder, port):
        yield port


@pytest.mark.parametrize("trust", [("--proxy-headers",), ("--trusted-hops", "1")])
def test_nginx(tmp_path: Path, trust: tuple[str, ...]) -> None:
    needs("nginx")
    forged = {"Host": "shop.example", "X-Forwarded-For": "9.9.9.9", "Forwarded": "for=9.9.9.9", "X-Forwarded-Prefix": "/evil"}
    flags = (*trust, "--forwarded-headers", FIELDS, "--root-path", "/api")
    with application(tmp_path, "asgi", *flags) as upstream, nginx(tmp_path, upstream) as port:
        said = get(port, "/stripped/users", **forged)
        assert [*said[:2], *said[5:]] == ["https", "203.0.113.7", "shop.example", "/stripped", "/stripped/users"]
        # Not stripped, and not doubled.
        assert get(port, "/api/users", **forged)[5:] == ["shop.example", "/api", "/api/users"]
        said = get(port, "/forwarded", **forged)
        assert [*said[:2], said[5]] == ["https", "203.0.113.9", "shop.example:8443"]
    with application(tmp_path, "wsgi", *flags) as upstream, nginx(tmp_path, upstream) as port:
        said = get(port, "/stripped/users", **forged)
        assert said == ["https", "203.0.113.7", "shop.example", "/stripped", "/users"]
        assert get(port, "/api/users", **forged)[3:] == ["/api", "/users"]

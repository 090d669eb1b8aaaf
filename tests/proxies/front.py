"""The proxies of Debian, each in front of one port, with the configuration that people have."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, NamedTuple


class Front(NamedTuple):
    """How a proxy is set up: its program, and the command that runs it in the foreground."""

    program: str
    command: Callable[[Path, int, int], list[str]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


# As another user its workers could not write what they spool below a folder of ours.
USER = "user root;" if os.geteuid() == 0 else ""
#: How a configuration of nginx begins that keeps all its files in a folder.
NGINX_BEGINNING = """
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
"""
NGINX = (
    NGINX_BEGINNING
    + """  upstream application {{ server 127.0.0.1:{upstream}; {keepalive} }}
  server {{
    listen 127.0.0.1:{port} {listens};
    location / {{ proxy_pass http://application; {version} }}
    location /ws {{
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
    }}
  }}
}}
"""
)


#: With a certificate that the test has put into the folder.
SSL = "ssl http2; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key"


def _nginx(keepalive: str, version: str, listens: str = "") -> Front:
    def command(folder: Path, port: int, upstream: int) -> list[str]:
        given = {"folder": folder, "port": port, "upstream": upstream, "user": USER}
        text = NGINX.format(**given, keepalive=keepalive, version=version, listens=listens.format(folder=folder))
        return ["nginx", "-p", str(folder), "-c", _written(folder / "nginx.conf", text), "-g", "daemon off;"]

    return Front("nginx", command)


HAPROXY = """
global
  maxconn 512
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  {mode}
frontend front
  bind 127.0.0.1:{port}
  default_backend application
backend application
  server one 127.0.0.1:{upstream} {how}
"""


def _haproxy(mode: str, how: str = "") -> Front:
    def command(folder: Path, port: int, upstream: int) -> list[str]:
        text = HAPROXY.format(port=port, upstream=upstream, mode=mode, how=how)
        return ["haproxy", "-db", "-f", _written(folder / "haproxy.cfg", text)]

    return Front("haproxy", command)


APACHE = """
ServerRoot {folder}
ServerName localhost
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
Mutex file:{folder}
Listen 127.0.0.1:{port}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
User nobody
Group nogroup
ProxyPass / http://127.0.0.1:{upstream}/ upgrade=websocket {more}
"""


def _apache(more: str) -> Front:
    def command(folder: Path, port: int, upstream: int) -> list[str]:
        text = APACHE.format(folder=folder, port=port, upstream=upstream, more=more)
        return ["apache2", "-f", _written(folder / "apache.conf", text), "-D", "FOREGROUND"]

    return Front("apache2", command)


VARNISH = """
vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "UPSTREAM"; }
sub vcl_recv { if (req.http.upgrade ~ "(?i)websocket") { return (pipe); } }
sub vcl_pipe {
  if (req.http.upgrade) {
    set bereq.http.upgrade = req.http.upgrade;
    set bereq.http.connection = req.http.connection;
  }
}
"""


def _varnish(folder: Path, port: int, upstream: int) -> list[str]:
    script = _written(folder / "front.vcl", VARNISH.replace("UPSTREAM", str(upstream)))
    return [
        "varnishd",
        "-j",
        "none",
        "-F",
        "-n",
        str(folder / "work"),
        "-a",
        f"127.0.0.1:{port}",
        "-f",
        script,
        "-s",
        "malloc,64m",
    ]


FRONTS = {
    "nginx": _nginx("", ""),
    "nginx-kept": _nginx("keepalive 16;", 'proxy_http_version 1.1; proxy_set_header Connection "";'),
    "haproxy": _haproxy(""),
    "haproxy-closing": _haproxy("option http-server-close"),
    "haproxy-http2": _haproxy("", "proto h2"),
    "apache2": _apache(""),
    "apache2-closing": _apache("disablereuse=on"),
    "varnish": Front("varnishd", _varnish),
}
#: Of tests of their own: one says whom it speaks for, one speaks HTTP/2 to clients.
OTHER_FRONTS = {
    "haproxy-http2-proxied": _haproxy("option forwardfor", "proto h2 send-proxy-v2"),
    "nginx-tls": _nginx("keepalive 16;", 'proxy_http_version 1.1; proxy_set_header Connection "";', SSL),
}


@contextlib.contextmanager
def in_front(name: str, folder: Path, upstream: int) -> Iterator[int]:
    """Run a proxy; gives its port once it takes connections."""
    front = {**FRONTS, **OTHER_FRONTS}[name]
    port = free_port()
    # Whoever drops its privileges must still reach its files.
    folder.chmod(0o755)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(front.command(folder, port, upstream), stdout=output, stderr=output)
        try:
            _wait_for(port, process, folder / "output")
            yield port
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(port: int, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, output.read_text()
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.02)


def is_installed(name: str) -> bool:
    return shutil.which({**FRONTS, **OTHER_FRONTS}[name].program) is not None

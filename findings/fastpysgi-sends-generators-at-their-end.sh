#!/usr/bin/env bash
# One would guess: a WSGI application that yields blocks streams them on every server, since PEP 3333 ("Buffering and Streaming") wants a
# block sent, or being sent, before the next one is asked for.
# What is so: fastpysgi 0.6 asks a generator for all of its blocks first and then sends one response with a Content-Length. What a client
# gets is right, but it gets nothing before the generator has ended: no progress, no events, all of a large export in memory.
# Who meets it: whoever compares the speed of streamed responses (one system call instead of one a block), and whoever moves an application
# with server-sent events to it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q fastpysgi==0.6
cat >"$folder/server.py" <<'PY'
import sys
import time

import fastpysgi


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for block in (b"one ", b"two ", b"three"):
        yield block
        time.sleep(0.4)


fastpysgi.run(app, "127.0.0.1", int(sys.argv[1]))
PY
cat >"$folder/client.py" <<'PY'
import socket
import sys
import time

for _ in range(100):
    try:
        connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        break
    except OSError:
        time.sleep(0.1)
connection.settimeout(20)
connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
began, received, first = time.monotonic(), b"", None
while part := connection.recv(65536):
    first = first or time.monotonic() - began
    received += part
head, _, body = received.partition(b"\r\n\r\n")
print("the first byte came", "after the last block was made" if first > 1 else f"after {first:.1f} s")
print("with a Content-Length:", b"content-length: 13" in head.lower())
print(body.decode())
PY
port=$("$folder/venv/bin/python" -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
"$folder/venv/bin/python" "$folder/server.py" "$port" >/dev/null 2>&1 &
server=$!
trap 'kill $server; rm -rf "$folder"' EXIT
found=$("$folder/venv/bin/python" "$folder/client.py" "$port")
echo "$found"
expected="the first byte came after the last block was made
with a Content-Length: True
one two three"
[ "$found" = "$expected" ]

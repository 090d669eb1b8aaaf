#!/usr/bin/env bash
# One would guess: a compressing ASGI middleware passes on what it does not know, or compresses it; Starlette's own GZipMiddleware
# passes on http.response.pathsend uncompressed.
# What is so: brotli-asgi 1.7.0, zstd-asgi 1.0 and asgi-compression 0.1.1 hold back the start of the response until the first
# http.response.body, and drop every message of another type. Starlette's FileResponse sends http.response.pathsend as soon as the
# scope announces it: then nothing at all leaves, neither the head nor the file, and no error is raised.
# Who meets it: whoever serves static files of Starlette or FastAPI behind one of them with a server that announces the
# extension; clients that do not ask for a coding get their files, so a test with curl shows nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q starlette==1.10.0 brotli-asgi==1.7.0 zstd-asgi==1.0 asgi-compression==0.1.1
cat >"$folder/program.py" <<'PY'
import asyncio
import sys

from asgi_compression import CompressionMiddleware, GzipAlgorithm
from brotli_asgi import BrotliMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse
from zstd_asgi import ZstdMiddleware

file = FileResponse(sys.argv[0])
middlewares = {
    "starlette": GZipMiddleware(file),
    "brotli-asgi": BrotliMiddleware(file),
    "zstd-asgi": ZstdMiddleware(file),
    "asgi-compression": CompressionMiddleware(file, algorithms=[GzipAlgorithm()]),
}


async def messages(app):
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"a"), (b"accept-encoding", b"br, gzip, zstd")],
        "extensions": {"http.response.pathsend": {}},
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message["type"])

    await app(scope, receive, send)
    return " ".join(sent) or "nothing"


for name, app in middlewares.items():
    print(f"{name}: {asyncio.run(messages(app))}")
PY
found=$("$folder/venv/bin/python" "$folder/program.py")
echo "$found"
expected="starlette: http.response.start http.response.pathsend
brotli-asgi: nothing
zstd-asgi: nothing
asgi-compression: nothing"
[ "$found" = "$expected" ]

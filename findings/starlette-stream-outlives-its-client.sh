#!/usr/bin/env bash
# One would guess: a server that announces a newer ASGI version in scope["asgi"]["spec_version"] promises more and takes nothing
# away; a StreamingResponse of Starlette is cancelled when its client leaves, as under uvicorn.
# What is so: starlette 1.10.0 listens for http.disconnect only where the version is below 2.4. From 2.4 on it waits for send() to
# raise OSError; a generator that waits for something else (a queue, a subscription) never gets there and lives for ever.
# Who meets it: writers of ASGI servers and of tests that make scopes by hand, and everybody with event streams behind a server that
# says 2.4 or more: one generator, with its subscription, is left for every client that ever left.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q starlette==1.10.0
cat >"$folder/program.py" <<'PY'
import asyncio

from starlette.responses import StreamingResponse


async def outcome(version):
    async def events():
        yield b"first"
        await asyncio.Event().wait()

    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": version}, "method": "GET", "path": "/", "headers": []}

    async def receive():
        # The client has left.
        return {"type": "http.disconnect"}

    async def send(message):
        pass

    serving = asyncio.ensure_future(StreamingResponse(events())(scope, receive, send))
    done, _ = await asyncio.wait({serving}, timeout=2)
    serving.cancel()
    return "ended" if done else "still waits after two seconds"


for version in ("2.3", "2.4"):
    print(f"spec_version {version}: {asyncio.run(outcome(version))}")
PY
found=$("$folder/venv/bin/python" "$folder/program.py")
echo "$found"
expected="spec_version 2.3: ended
spec_version 2.4: still waits after two seconds"
[ "$found" = "$expected" ]

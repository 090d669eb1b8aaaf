#!/usr/bin/env bash
# One would guess: "await client.publish(...)" of redis-py, which returns how many got the message, publishes it once, or raises.
# What is so: where no answer comes within socket_timeout (5 s by default since redis-py 8), redis-py 8.1.0 drops the connection and
# sends the command again, up to ten times, also commands that are not idempotent. A server that was only slow carries out both.
# Nothing is raised or logged: the call returns as if nothing had been.
# Who meets it: whoever publishes, pushes to lists, or increments, while Redis is slow for more than five seconds: a snapshot on a
# full machine, a slow script, a paused container. Retry(NoBackoff(), 0), or retry=None for a Connection, sends once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q redis==8.1.0
cat >"$folder/program.py" <<'PY'
import asyncio
import sys

from redis.asyncio import Redis

carried_out = []


async def serve(reader, writer):
    """A server of Redis that is slow to answer the first message that is published, and carries out everything."""
    while line := await reader.readline():
        words = []
        for _ in range(int(line[1:])):
            length = int((await reader.readline())[1:])
            words.append((await reader.readexactly(length + 2))[:-2])
        if words[0] == b"PUBLISH":
            carried_out.append(words[2].decode())
            seconds = float(sys.argv[1]) if len(carried_out) == 1 else 0
            asyncio.get_running_loop().call_later(seconds, writer.write, b":1\r\n")
        elif words[0] == b"HELLO":
            writer.write(b"%1\r\n+proto\r\n:3\r\n")
        else:
            writer.write(b"+OK\r\n")
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = Redis(port=server.sockets[0].getsockname()[1])
    print("publish returned", await client.publish("news", "hello"), "and the server got", carried_out)
    await client.aclose()
    server.close()


asyncio.run(main())
PY
found=$("$folder/venv/bin/python" "$folder/program.py" 0 && "$folder/venv/bin/python" "$folder/program.py" 5.5)
echo "$found"
expected="publish returned 1 and the server got ['hello']
publish returned 1 and the server got ['hello', 'hello']"
[ "$found" = "$expected" ]

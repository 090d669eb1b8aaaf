#!/usr/bin/env bash
# One would guess: a flush() of nats-py that times out, because the server was slow for a second, is over; the connection goes on.
# What is so: the future of its PONG stays in a list (nats-py 2.16.0). When the PONG arrives at last, the client sets the result of
# this future, which is cancelled: InvalidStateError, logged as "nats: encountered error", and the task that reads has ended.
# Nothing is received any more, while is_connected is True and publishing works; by default it is six minutes until unanswered
# pings end the connection.
# Who meets it: whoever calls flush(timeout=...) or rtt(timeout=...), as health checks do, while a server is stopped for a moment.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q nats-py==2.16.0
cat >"$folder/program.py" <<'PY'
import asyncio
import logging

import nats

logging.disable()


async def serve(reader, writer):
    """A server of NATS that is slow once, and sends a message afterwards."""
    writer.write(b'INFO {"max_payload":1048576}\r\n')
    pings = 0
    while line := await reader.readline():
        if line == b"PING\r\n":
            pings += 1
            if pings == 2:
                await asyncio.sleep(0.6)
            writer.write(b"PONG\r\n")
            if pings == 2:
                writer.write(b"MSG news 1 5\r\nhello\r\n")
    writer.close()


async def main():
    for timeout in 5, 0.3:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = await nats.connect(f"nats://127.0.0.1:{port}")
        subscription = await client.subscribe("news")
        try:
            await client.flush(timeout=timeout)
            flushed = "in time"
        except nats.errors.TimeoutError:
            flushed = "too late"
        try:
            received = (await subscription.next_msg(timeout=1.5)).data.decode()
        except nats.errors.TimeoutError:
            received = "nothing"
        print(f"the server answered {flushed}: connected: {client.is_connected}, received: {received}")
        await client.close()
        server.close()


asyncio.run(main())
PY
found=$("$folder/venv/bin/python" "$folder/program.py")
echo "$found"
expected="the server answered in time: connected: True, received: hello
the server answered too late: connected: True, received: nothing"
[ "$found" = "$expected" ]

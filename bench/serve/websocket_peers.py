"""Websocket servers of other packages, as their documentation would have them for speed: uvloop, no compression.

Usage: python bench/serve/websocket_peers.py websockets|picows BEHAVIOUR DIRECTORY PORT; 0 for any port. Both answer on
/echo and /broadcast; there is one behaviour.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import uvloop


async def serve_websockets(port: int) -> None:
    """Serves with the ``websockets`` package."""
    from websockets.asyncio.server import ServerConnection, broadcast, serve  # noqa: PLC0415 - only what is asked for needs to be installed

    everybody: set[ServerConnection] = set()

    async def handle(connection: ServerConnection) -> None:
        if connection.request is not None and connection.request.path == "/echo":
            async for message in connection:
                await connection.send(message)
            return
        everybody.add(connection)
        try:
            async for message in connection:
                broadcast(everybody, message)
        finally:
            everybody.discard(connection)

    async with serve(handle, "127.0.0.1", port, compression=None) as server:
        await announce(next(iter(server.sockets)))


async def serve_picows(port: int) -> None:
    """Serves with the ``picows`` package."""
    import picows  # noqa: PLC0415 - only what is asked for needs to be installed

    everybody: set[Any] = set()

    class Echo(picows.WSListener):  # type: ignore[misc]
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == picows.WSMsgType.CLOSE:
                transport.disconnect()
            else:
                transport.send(frame.msg_type, frame.get_payload_as_bytes())

    class Broadcast(picows.WSListener):  # type: ignore[misc]
        def on_ws_connected(self, transport: Any) -> None:
            everybody.add(transport)

        def on_ws_disconnected(self, transport: Any) -> None:
            everybody.discard(transport)

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == picows.WSMsgType.CLOSE:
                transport.disconnect()
                return
            message = frame.get_payload_as_bytes()
            for each in everybody:
                each.send(frame.msg_type, message)

    def choose(request: Any) -> Any:
        return Echo() if request.path == b"/echo" else Broadcast()

    server = await picows.ws_create_server(choose, "127.0.0.1", port)
    await announce(server.sockets[0])


async def announce(listener: Any) -> None:
    """Says where the server listens, and waits for ever."""
    print(f"listening {listener.getsockname()[1]}", flush=True)
    await asyncio.Future()


def main() -> None:
    """Serves until stopped."""
    # The load client leaves without a word, which both packages report for every connection.
    logging.disable(logging.ERROR)
    serve = {"websockets": serve_websockets, "picows": serve_picows}[sys.argv[1]]
    uvloop.run(serve(int(sys.argv[-1])))


if __name__ == "__main__":
    main()

"""Serves an ASGI application: HTTP, a websocket echo and lifespan. Usage: python examples/asgi.py [PORT]."""

import sys

from socketify import ASGI


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["greeting"] = "Hello"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})
    else:
        body = f"{scope['state']['greeting']}, {scope['path'][1:] or 'World'}!".encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": body})


def main():
    server = ASGI(app)
    server.listen(int(sys.argv[1]) if len(sys.argv) > 1 else 0, lambda config: print(f"listening {config.port}", flush=True))
    server.run()


if __name__ == "__main__":
    main()

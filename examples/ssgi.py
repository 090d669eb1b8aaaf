"""An SSGI application with an echoing websocket. Usage: python examples/ssgi.py [PORT]."""

import sys

from socketify import SSGI


async def app(kind, server_address, remote_address, method, path, query_string, get_header, res):
    if kind == "websocket":
        await res.accept()
        res.on_receive(lambda ws, message: ws.send(message))
    else:
        data = await res.get_data()
        res.send(data.getvalue() or "Hello, World!")


server = SSGI(app)
port = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
server.listen(port, lambda config: print(f"listening on port {config.port}", flush=True))
server.run()

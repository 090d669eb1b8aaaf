"""A WSGI application, in a pool of threads when it waits for things. Usage: python examples/wsgi.py [PORT]."""

import sys

from socketify import WSGI


def app(environ, start_response):
    body = b"".join(line.upper() for line in environ["wsgi.input"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body or b"Hello, World!"]


server = WSGI(app, threads=4)
port = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
server.listen(port, lambda config: print(f"listening on port {config.port}", flush=True))
server.run()

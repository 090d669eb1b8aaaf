"""Several threads that compute, one port, and a page that all of them tell what they found.

Usage: python examples/threads.py [PORT]; 3000 at first, 0 for any. Only a free-threaded build of CPython lets them compute at
the same time.
"""

import os
import sys
import threading

import socketify
from socketify import OpCode

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Primes</title>
<ul id="list"></ul>
<script>
  new WebSocket(location.origin.replace("http", "ws") + "/found").onmessage = (event) => {
    const line = document.createElement("li");
    line.textContent = event.data;
    list.append(line);
  };
</script>
"""


def count_primes(limit):
    """Count the primes below a number, as slowly as one likes."""
    return sum(all(number % each for each in range(2, int(number**0.5) + 1)) for number in range(2, limit))


def run(app):
    """Add the routes to the app of a thread: this is called once in each."""

    def primes(res, req):
        given = req.get_parameter("limit")
        if not given.isdecimal() or len(given) > 5:
            res.send("a number of up to five digits is needed", status=400)
            return
        limit = int(given)
        text = f"{count_primes(limit)} primes below {limit}, says {threading.current_thread().name}"
        # The websockets of all threads get it.
        app.publish("found", text, OpCode.TEXT)
        res.end(text)

    app.get("/", lambda res, _req: res.send(PAGE, content_type="text/html; charset=utf-8"))
    app.get("/primes/:limit", primes)
    app.ws("/found", {"open": lambda ws: ws.subscribe("found")})


if __name__ == "__main__":
    socketify.serve(
        run,
        port=int(sys.argv[1]) if len(sys.argv) > 1 else 3000,
        threads_per_worker=max(2, os.cpu_count() or 1),
        on_listen=lambda config: print(f"listening on port {config.port}", flush=True),
    )

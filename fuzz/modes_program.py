"""The servers of one mode, in a process of its own: it prints their ports, and then follows what it reads, line by line.

``begin PLANS`` prepares what the next requests do; ``collect`` collects garbage; ``journal`` prints what the requests saw, and
what was logged. All values are pickled, in base 64.
"""

from __future__ import annotations

import base64
import gc
import logging
import pickle
import sys
import time
from typing import Any

import modes_plans
from app_servers import Server

from socketify import ASGI, WSGI, App, AppListenOptions


class Failures(logging.Handler):
    """Notes what is logged of failures, as far as it can be compared."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        modes_plans.current.failures.append(f"{record.levelname} {record.getMessage().splitlines()[0]} {kind}")


def native_port(handler: Any, on_error: Any = None, **options: Any) -> int:
    def build(app: App) -> None:
        app.get("/only/:name", handler).any("/*", handler)
        app.get("/both/:first/:second", lambda res, req: req.set_yield(1))
        if on_error is not None:
            app.on_error(on_error)

    return int(Server(build, **options).port)


def interface_port(server: Any) -> int:
    ports: list[int] = []
    server.listen(AppListenOptions(host="127.0.0.1"), lambda config: ports.append(config.port))
    server.run(block=False)
    return ports[0]


def settled() -> modes_plans.Batch:
    """Wait until nothing more happens in the servers."""
    batch = modes_plans.current
    deadline = time.monotonic() + 2
    seen: Any = None
    while time.monotonic() < deadline:
        now = (len(batch.failures), [len(each) for each in batch.journals], batch.busy)
        if now == seen and not batch.busy:
            break
        seen = now
        time.sleep(0.002)
    return batch


def answer(value: Any) -> None:
    print(base64.b64encode(pickle.dumps(value)).decode(), flush=True)


def main() -> None:
    logging.getLogger("socketify").addHandler(Failures(logging.WARNING))
    logging.getLogger("socketify").propagate = False
    ports = {
        "handler": native_port(modes_plans.handler),
        "pooled handler": native_port(modes_plans.handler, modes_plans.on_error, request_response_factory_max_items=8),
        "coroutine": native_port(modes_plans.coroutine, modes_plans.on_error),
        "pooled coroutine": native_port(modes_plans.coroutine, request_response_factory_max_items=8),
        "asgi": interface_port(ASGI(modes_plans.asgi, lifespan="off")),
        "wsgi": interface_port(WSGI(modes_plans.wsgi)),
        "wsgi in threads": interface_port(WSGI(modes_plans.wsgi, threads=3)),
    }
    answer(ports)
    for line in sys.stdin:
        verb, _, plans = line.partition(" ")
        if verb == "begin":
            modes_plans.begin(pickle.loads(base64.b64decode(plans)))
            answer(None)
        elif verb.strip() == "collect":
            answer(gc.collect())
        else:
            batch = settled()
            answer((batch.journals, batch.failures))


if __name__ == "__main__":
    main()

"""The WSGI hello world that the benchmarks measure, served by socketify. Usage: python bench/wsgi_hello.py [[THREADS] PORT]."""

from __future__ import annotations

import sys
from typing import Any

BODY = b"Hello, World!"


def app(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers every request with the same text."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [BODY]


def main() -> None:
    """Serves until stopped."""
    from socketify import WSGI, AppListenOptions  # noqa: PLC0415 - other servers import this file without it

    threads = int(sys.argv[1]) if len(sys.argv) > 2 else 1
    server = WSGI(app, threads=threads)
    options = AppListenOptions(port=int(sys.argv[-1]) if len(sys.argv) > 1 else 0, host="127.0.0.1")
    server.listen(options, lambda config: print(f"listening {config.port}", flush=True))
    server.run()


if __name__ == "__main__":
    main()

"""Raw WSGI applications, one for each behaviour, under the behaviour's name."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from answers import PIECE, PIECES, TEXT, total

_TEXT, _PIECE = TEXT.encode(), PIECE.encode()


def hello(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers every request with the same text."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [_TEXT]


def stream(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Blocks of a generator, of which nobody knows how many there will be."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (_PIECE for _ in range(PIECES))


def order(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Reads JSON and answers with JSON."""
    read = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    answer = json.dumps(total(json.loads(read))).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


ROUTES = {"/": hello, "/stream": stream, "/orders": order}


def routes(environ: dict[str, Any], start_response: Any) -> Any:
    """All of these."""
    return ROUTES[environ["PATH_INFO"]](environ, start_response)


def find(behaviour: str, directory: str) -> Any:
    """Returns the application of a behaviour."""
    if behaviour in ("django", "flask"):
        return importlib.import_module(f"{behaviour}_app").wsgi
    if behaviour == "static":

        def send_file(environ: dict[str, Any], start_response: Any) -> Any:
            """Hands a file to the server, which has the kernel copy it."""
            path = Path(directory, environ["PATH_INFO"].lstrip("/"))
            file = path.open("rb")
            start_response(
                "200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(path.stat().st_size))]
            )
            return environ["wsgi.file_wrapper"](file, 1 << 18)

        return send_file
    if behaviour == "falcon":
        import falcon  # noqa: PLC0415 - only what is asked for needs to be installed

        class Hello:
            def on_get(self, _req: Any, resp: Any) -> None:
                resp.content_type = "text/plain"
                resp.text = TEXT

        app = falcon.App()
        app.add_route("/", Hello())
        return app
    return globals()[behaviour]


# For servers that load the application by name, in a process of their own.
if "BENCH_BEHAVIOUR" in os.environ:
    chosen = find(os.environ["BENCH_BEHAVIOUR"], os.environ["BENCH_DIRECTORY"])

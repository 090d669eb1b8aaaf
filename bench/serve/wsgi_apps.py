"""Raw WSGI applications, one for each behaviour, under the behaviour's name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from answers import TEXT

_TEXT = TEXT.encode()


def hello(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers every request with the same text."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [_TEXT]


def find(behaviour: str, directory: str) -> Any:
    """Returns the application of a behaviour."""
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

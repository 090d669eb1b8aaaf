"""A WSGI application that answers with what it was asked; as a program, served without CPython's C API.

Usage: python fuzz/wsgi_mirror.py ROOT_PATH [all]. It prints its port. With "all" it tells everything that text can say.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def mirror(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with the environ, or with the status and fields that X-Answer asks for."""
    wanted = environ.get("HTTP_X_ANSWER")
    if wanted is not None:
        status, headers = json.loads(wanted)
        try:
            start_response(status, [tuple(pair) if isinstance(pair, list) else pair for pair in headers])
        except (TypeError, ValueError) as error:
            start_response("299 Refused", [])
            return [f"{type(error).__name__}: {error}".encode()]
        return [b"answer"]
    start_response("200 OK", [("Content-Type", "application/json")])
    told = {key: value for key, value in environ.items() if isinstance(value, (str, bool))}
    # What differs between two connections to two servers.
    for key in ("REMOTE_PORT", "SERVER_PORT", "HTTP_HOST"):
        told[key] = str(type(told.get(key)))
    return [json.dumps([sorted(environ), told]).encode()]


def mirror_all(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with all keys of the environ whose values are str or bool."""
    start_response("200 OK", [])
    return [json.dumps({key: value for key, value in environ.items() if isinstance(value, (str, bool))}).encode()]


def main() -> None:
    """Serve until stopped."""
    name, sys.implementation.name = sys.implementation.name, "another"
    from socketify import WSGI, AppListenOptions  # noqa: PLC0415 - the interpreter looks like another to it
    from socketify.native import capabilities  # noqa: PLC0415

    sys.implementation.name = name
    assert not capabilities.c_api
    server = WSGI(mirror_all if sys.argv[2:] == ["all"] else mirror, root_path=sys.argv[1])
    server.listen(AppListenOptions(host="127.0.0.1"), lambda config: print(config.port, flush=True))
    server.run()


if __name__ == "__main__":
    main()

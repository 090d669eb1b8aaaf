"""The environ of WSGI (PEP 3333): what a request says, from one native call."""

from __future__ import annotations

import sys
from typing import Any, Callable
from urllib.parse import unquote_to_bytes

from ..native import lib
from ..native.declarations import SCOPE_ANCIENT, SCOPE_ENCODED
from .wsgi_file import FileWrapper
from .wsgi_input import NO_INPUT

Environ = dict[str, Any]
#: Gives the flags of the request (SCOPE_*) and its environ, inside the request callback.
EnvironBuilder = Callable[[int], tuple[int, Environ]]

_FLAGS_BASE = ord("@")
_KNOWN_NAMES_MAX = 1024
#: A key of every environ: what fields that are not passed on are counted for.
_DROPPED = "wsgi.version"
_DEFAULT_PORTS = {"http": "80", "https": "443"}

_req_scope = lib.sk_req_scope


class _FieldKeys(dict[str, str]):
    """The environ's keys of header names."""

    def __missing__(self, name: str) -> str:
        key = _field_key(name)
        if len(self) < _KNOWN_NAMES_MAX:
            self[name] = key
        return key


def _field_key(name: str) -> str:
    if "_" in name or name == "proxy":
        # X_Y would pass for X-Y, which a proxy in front may have checked; HTTP_PROXY is read by HTTP clients as their
        # own configuration.
        return _DROPPED
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


def base_environ(scheme: str, root_path: str, multithread: bool, multiprocess: bool) -> Environ:
    """Give what the environs of all requests have in common."""
    return {
        "SCRIPT_NAME": root_path,
        "SERVER_SOFTWARE": "socketify",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": NO_INPUT,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }


def environ_builder(view: memoryview, base: Environ) -> EnvironBuilder:
    """Make the function that gives the environ of the request whose callback runs.

    Args:
        view: the scratch buffer of the native loop.
        base: see :func:`base_environ`.

    """
    keys = _FieldKeys()
    root_path: str = base["SCRIPT_NAME"]
    # Unix-domain sockets have no addresses.
    no_ends = ("", "", "localhost", _DEFAULT_PORTS[base["wsgi.url_scheme"]])
    copy = base.copy

    def build(handle: int) -> tuple[int, Environ]:
        lines = str(view[: _req_scope(handle)], "latin-1").split("\n")
        flags = ord(lines[0]) - _FLAGS_BASE
        path, query, ends = lines[2], lines[3], lines[4]
        environ = copy()
        environ["REQUEST_METHOD"] = lines[1]
        environ["QUERY_STRING"] = query
        environ["REQUEST_URI"] = f"{path}?{query}" if query else path
        if flags & SCOPE_ENCODED:
            path = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
        if root_path:
            path = _below(path, root_path)
        elif path[:1] != "/":
            # OPTIONS * is about the server and not about any resource.
            path = ""
        environ["PATH_INFO"] = path
        environ["SERVER_PROTOCOL"] = "HTTP/1.0" if flags & SCOPE_ANCIENT else "HTTP/1.1"
        (
            environ["REMOTE_ADDR"],
            environ["REMOTE_PORT"],
            environ["SERVER_NAME"],
            environ["SERVER_PORT"],
        ) = ends.split(" ") if ends else no_ends
        for name, value in zip(lines[5::2], lines[6::2]):
            key = keys[name]
            if key in environ:
                _join(environ, key, value)
            else:
                environ[key] = value
        return flags, environ

    return build


def _below(path: str, root_path: str) -> str:
    """Take the mount point off a path, unless a proxy did it."""
    if path.startswith(root_path) and path[len(root_path) :][:1] in ("", "/"):
        return path[len(root_path) :]
    return path if path[:1] == "/" else ""


def _join(environ: Environ, key: str, value: str) -> None:
    """Add a field that is repeated (RFC 9110 section 5.3; RFC 6265 section 5.4 for cookies)."""
    if key != _DROPPED:
        environ[key] += ("; " if key == "HTTP_COOKIE" else ",") + value

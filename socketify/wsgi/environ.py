"""The environ of WSGI (PEP 3333): the contents of a request, from one native call."""

from __future__ import annotations

import sys
from typing import Any, Callable, Optional
from urllib.parse import unquote_to_bytes

from ..http.connection import proxy_facts
from ..http.ends import split_ends
from ..native import scope_text as _scope_text
from ..native import sent_target as _sent_target
from ..native.abi import (
    SCOPE_ANCIENT,
    SCOPE_ENCODED,
    SCOPE_FLAGS_BASE,
    SCOPE_FLAGS_MODULUS,
    SCOPE_HTTP_2,
    SCOPE_OTHER_SCHEME,
    SCOPE_SENT_TARGET,
)
from .file import FileWrapper
from .input import NO_INPUT

Environ = dict[str, Any]
#: Returns the flags of the request (SCOPE_*) and its environ, inside the request callback.
EnvironBuilder = Callable[[int], tuple[int, Environ]]

#: The key of what a header of the PROXY protocol said, as :func:`socketify.wire.proxy_protocol.read_tlvs` returns it.
PROXY_FACTS = "socketify.proxy_protocol"

_KNOWN_NAMES_MAX = 1024
_ROOM = 3
# How many sections, of what length, are remembered: together they take a few MB at most.
_KNOWN_SECTIONS_MAX = 1024
_KNOWN_SECTION_MAX = 2048
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class _FieldKeys(dict[str, Optional[str]]):
    """The environ's keys of header names."""

    def __missing__(self, name: str) -> Optional[str]:
        key = field_key(name)
        if len(self) < _KNOWN_NAMES_MAX:
            self[name] = key
        return key


class _Sections(dict[str, Environ]):
    """The part of an environ about the connection's ends and the fields, which clients repeat in every request.

    Args:
        base: what all environs have in common.

    """

    def __init__(self, base: Environ) -> None:
        super().__init__()
        self._base = base
        self._keys = _FieldKeys()
        # Unix-domain sockets have no addresses.
        self._no_ends = ["", "", "localhost", _DEFAULT_PORTS[base["wsgi.url_scheme"]]]

    def __missing__(self, section: str) -> Environ:
        lines = section.split("\n")
        environ = self._base.copy()
        ends, _ = split_ends(lines[0])
        if len(ends) < len(self._no_ends):
            # This includes a client behind a proxy that is connected so.
            ends += self._no_ends[len(ends) :]
        environ.update(zip(("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT"), ends))
        keys = self._keys
        if lines[1]:
            environ["SCRIPT_NAME"] = lines[1]
        for name, value in zip(lines[2::2], lines[3::2]):
            key = keys[name]
            if key is None:
                continue
            if key in environ:
                _join(environ, key, value)
            else:
                environ[key] = value
        if len(section) <= _KNOWN_SECTION_MAX:
            if len(self) >= _KNOWN_SECTIONS_MAX:
                self.clear()
            self[section] = environ
        return environ


def field_key(name: str) -> Optional[str]:
    """Return the key of a field by its name in lower case; None for fields that are not passed on."""
    if "_" in name or name == "proxy":
        # X_Y would look like X-Y, which a proxy in front may have checked; HTTP clients read HTTP_PROXY as their
        # own configuration.
        return None
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


def base_environ(scheme: str, root_path: str, multithread: bool, multiprocess: bool) -> Environ:
    """Return what the environs of all requests have in common."""
    base: Environ = {
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
        # Keys that every request sets; they are here so that the dict has them already.
        "REMOTE_ADDR": "",
        "REMOTE_PORT": "",
        "SERVER_NAME": "",
        "SERVER_PORT": "",
        "REQUEST_METHOD": "",
        "QUERY_STRING": "",
        "REQUEST_URI": "",
        "PATH_INFO": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    # A copy keeps the capacity that the dict once grew to, so that the usual fields of a request do not make it grow.
    for room in range(_ROOM):
        base[f"{room}"] = None
    for room in range(_ROOM):
        del base[f"{room}"]
    return base


def environ_builder(base: Environ) -> EnvironBuilder:
    """Make the function that returns flags and environ of the request whose callback runs.

    Args:
        base: see :func:`base_environ`.

    """
    sections = _Sections(base)

    def build(handle: int) -> tuple[int, Environ]:
        text, method, path, query, section = _scope_text(handle).split("\n", 4)
        flags = (ord(text) - SCOPE_FLAGS_BASE) % SCOPE_FLAGS_MODULUS
        environ = sections[section].copy()
        environ["REQUEST_METHOD"] = method
        environ["QUERY_STRING"] = query
        if flags & SCOPE_SENT_TARGET:
            environ["REQUEST_URI"] = _sent_target(handle)
        else:
            environ["REQUEST_URI"] = f"{path}?{query}" if query else path
        if flags & SCOPE_ENCODED:
            path = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
        root_path: str = environ["SCRIPT_NAME"]
        if root_path:
            path = _below(path, root_path)
        elif path[:1] != "/":
            # OPTIONS * is about the server, not about a resource.
            path = ""
        environ["PATH_INFO"] = path
        if flags & SCOPE_ANCIENT:
            environ["SERVER_PROTOCOL"] = "HTTP/1.0"
        elif flags & SCOPE_HTTP_2:
            environ["SERVER_PROTOCOL"] = "HTTP/2"
        return flags, environ

    return build


def with_forwarded_scheme(build: EnvironBuilder, scheme: str) -> EnvironBuilder:
    """Let a trusted proxy say which scheme the client speaks."""
    other = "http" if scheme == "https" else "https"

    def build_behind_proxy(handle: int) -> tuple[int, Environ]:
        flags, environ = build(handle)
        if flags & SCOPE_OTHER_SCHEME:
            environ["wsgi.url_scheme"] = other
        return flags, environ

    return build_behind_proxy


def add_proxy_facts(handle: int, environ: Environ) -> None:
    """Add what a header of the PROXY protocol said to the environ of a request, if there was one."""
    facts = proxy_facts(handle)
    if facts is not None:
        environ[PROXY_FACTS] = facts


def with_proxy_facts(build: EnvironBuilder) -> EnvironBuilder:
    """Let environs have what a header of the PROXY protocol said."""

    def build_behind_proxy(handle: int) -> tuple[int, Environ]:
        flags, environ = build(handle)
        add_proxy_facts(handle, environ)
        return flags, environ

    return build_behind_proxy


def _below(path: str, root_path: str) -> str:
    """Remove the mount point from a path, unless a proxy did so."""
    if path.startswith(root_path) and path[len(root_path) :][:1] in ("", "/"):
        return path[len(root_path) :]
    return path if path[:1] == "/" else ""


def _join(environ: Environ, key: str, value: str) -> None:
    """Add a field that is repeated (RFC 9110 section 5.3; RFC 6265 section 5.4 for cookies)."""
    environ[key] += ("; " if key == "HTTP_COOKIE" else ",") + value

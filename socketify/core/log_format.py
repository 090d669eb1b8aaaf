"""Formats of the access log: those of gunicorn and of Apache, and JSON."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

from ..native import abi
from ..system.worker_name import worker_name

#: Formats that have a name.
NAMED = {
    "common": '%(h)s - %(u)s %(t)s "%(r)s" %(s)s %(B)s',
    "combined": '%(h)s - %(u)s %(t)s "%(r)s" %(s)s %(B)s "%(f)s" "%(a)s"',
    "json": "json:time,client,method,target,version,status,bytes,milliseconds",
}
_JSON = "json:"

_Part = tuple[int, str]

_REFERER, _AGENT = (abi.LOG_REQUEST_FIELD, "referer"), (abi.LOG_REQUEST_FIELD, "user-agent")
#: ``%(x)s`` of gunicorn.
_GUNICORN: dict[str, _Part] = {
    "h": (abi.LOG_CLIENT, ""),
    "l": (abi.LOG_TEXT, "-"),
    "u": (abi.LOG_USER, ""),
    "t": (abi.LOG_TIME_COMMON, ""),
    "r": (abi.LOG_REQUEST, ""),
    "m": (abi.LOG_METHOD, ""),
    "U": (abi.LOG_PATH, ""),
    "q": (abi.LOG_QUERY, ""),
    "H": (abi.LOG_PROTOCOL, ""),
    "s": (abi.LOG_STATUS, ""),
    "B": (abi.LOG_BYTES, ""),
    "b": (abi.LOG_BYTES_OR_DASH, ""),
    "f": _REFERER,
    "a": _AGENT,
    "T": (abi.LOG_SECONDS, ""),
    "M": (abi.LOG_MILLISECONDS, ""),
    "D": (abi.LOG_MICROSECONDS, ""),
    "L": (abi.LOG_DECIMAL_SECONDS, ""),
}
#: ``%x`` of Apache.
_APACHE: dict[str, _Part] = {
    **{name: _GUNICORN[name] for name in "hlutrmUHsBbTD"},
    "a": (abi.LOG_CLIENT, ""),
    "A": (abi.LOG_SERVER, ""),
    "q": (abi.LOG_MARKED_QUERY, ""),
    "p": (abi.LOG_SERVER_PORT, ""),
    "P": (abi.LOG_PID, ""),
    "v": (abi.LOG_HOST, ""),
    "V": (abi.LOG_HOST, ""),
    "L": (abi.LOG_REQUEST_ID, ""),
}
#: The fields of JSON by name; for gunicorn's syntax, too.
_NAMES: dict[str, _Part] = {
    "time": (abi.LOG_TIME_ISO, ""),
    "client": (abi.LOG_CLIENT, ""),
    "client_port": (abi.LOG_CLIENT_PORT, ""),
    "server": (abi.LOG_SERVER, ""),
    "server_port": (abi.LOG_SERVER_PORT, ""),
    "user": (abi.LOG_USER, ""),
    "request": (abi.LOG_REQUEST, ""),
    "method": (abi.LOG_METHOD, ""),
    "target": (abi.LOG_TARGET, ""),
    "path": (abi.LOG_PATH, ""),
    "query": (abi.LOG_QUERY, ""),
    "protocol": (abi.LOG_PROTOCOL, ""),
    "version": (abi.LOG_VERSION, ""),
    "scheme": (abi.LOG_SCHEME, ""),
    "host": (abi.LOG_HOST, ""),
    "status": (abi.LOG_STATUS, ""),
    "bytes": (abi.LOG_BYTES, ""),
    "seconds": (abi.LOG_DECIMAL_SECONDS, ""),
    "milliseconds": (abi.LOG_DECIMAL_MILLISECONDS, ""),
    "microseconds": (abi.LOG_MICROSECONDS, ""),
    "referer": _REFERER,
    "user_agent": _AGENT,
    "request_id": (abi.LOG_REQUEST_ID, ""),
    "pid": (abi.LOG_PID, ""),
}
_WORKER, _PROCESS = "worker", "p"
#: What stands in braces, by the letter behind: a field of the request, of the response, a variable of the environment, a time.
_BRACED = {"i": abi.LOG_REQUEST_FIELD, "o": abi.LOG_RESPONSE_FIELD}
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_GUNICORN_ATOM = re.compile(r"%\((?:\{(?P<braced>[^}]*)\}(?P<kind>[a-zA-Z])|(?P<name>[^)]*))\)s")
_APACHE_ATOM = re.compile(r"%[<>]?(?:\{(?P<braced>[^}]*)\}(?P<kind>[a-zA-Z])|(?P<name>[a-zA-Z]))")


class LogFormat:
    """A format, as the native side takes it.

    Args:
        text: ``common``, ``combined`` or ``json``; gunicorn's atoms, as ``%(h)s`` or ``%({user-agent}i)s``; Apache's, as ``%h``
            or ``%{User-Agent}i``; or ``json:`` and names of fields with commas between, as
            ``json:time,status,agent={user-agent}i``.

    Raises:
        TypeError: it is no str.
        ValueError: it has an atom or a field that is not known; the message names it.

    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            message = f"access_log must be a str or None, not {text!r}"
            raise TypeError(message)
        text = NAMED.get(text, text)
        self.is_json = text.startswith(_JSON)
        if not self.is_json and "%" not in text:
            message = f"access_log must be None, one of {', '.join(NAMED)}, or a format with % or json:, not {text!r}"
            raise ValueError(message)
        self._parts = list(_json_parts(text[len(_JSON) :]) if self.is_json else _text_parts(text))

    def native_parts(self) -> Any:
        """Return an array of ``sk_log_part``."""
        parts = (abi.LogPartStruct * len(self._parts))()
        for part, (kind, text) in zip(parts, self._parts):
            data = text.encode("utf-8", "backslashreplace")
            part.kind, part.text, part.length = kind, data, len(data)
        return parts


def _text_parts(text: str) -> Iterator[_Part]:
    is_gunicorn = "%(" in text
    pattern = _GUNICORN_ATOM if is_gunicorn else _APACHE_ATOM
    at = 0
    while at < len(text):
        percent = text.find("%", at)
        if percent < 0:
            yield abi.LOG_TEXT, _plain(text[at:])
            return
        if percent > at:
            yield abi.LOG_TEXT, _plain(text[at:percent])
        if text[percent + 1 : percent + 2] == "%":
            yield abi.LOG_TEXT, "%"
            at = percent + 2
            continue
        atom = pattern.match(text, percent)
        if atom is None:
            message = f"access_log: {text[percent : percent + 12]!r} is no atom of a format"
            raise ValueError(message)
        yield _atom(atom, is_gunicorn)
        at = atom.end()


def _plain(text: str) -> str:
    if "\n" in text or "\r" in text:
        message = f"access_log: a line cannot have a line break: {text!r}"
        raise ValueError(message)
    return text


def _atom(atom: re.Match[str], is_gunicorn: bool) -> _Part:
    if atom["braced"] is not None:
        return _braced(atom["braced"], atom["kind"], atom[0])
    name = atom["name"]
    known = {**_NAMES, **_GUNICORN} if is_gunicorn else _APACHE
    if name in known:
        return known[name]
    if is_gunicorn and name == _PROCESS:
        return abi.LOG_TEXT, f"<{os.getpid()}>"
    if name == _WORKER:
        return abi.LOG_TEXT, worker_name() or "-"
    message = f"access_log: there is no atom {atom[0]!r}"
    raise ValueError(message)


def _braced(name: str, kind: str, whole: str) -> _Part:
    if kind in _BRACED and _FIELD_NAME.match(name):
        return _BRACED[kind], name.lower()
    if kind == "e":
        return abi.LOG_TEXT, _escaped(os.environ.get(name, "-"))
    if kind == "t" and name:
        return abi.LOG_TIME, name
    message = f"access_log: there is no atom {whole!r}"
    raise ValueError(message)


def _escaped(text: str) -> str:
    return "".join(each if each.isprintable() and each not in '"\\' else f"\\x{ord(each):02x}" for each in text)


def _json_parts(text: str) -> Iterator[_Part]:
    begin = "{"
    for item in text.split(","):
        key, name = _key_and_name(item.strip())
        yield abi.LOG_TEXT, f"{begin}{json.dumps(key)}: "
        begin = ", "
        braced = re.fullmatch(r"\{([^}]*)\}([io])", name)
        if braced is not None:
            yield _braced(braced[1], braced[2], item)
        elif name in _NAMES:
            yield _NAMES[name]
        elif name == _WORKER:
            yield abi.LOG_TEXT, json.dumps(worker_name())
        else:
            message = (
                f"access_log: there is no field {item!r}; there are {', '.join((*_NAMES, _WORKER))}, {{NAME}}i and {{NAME}}o"
            )
            raise ValueError(message)
    yield abi.LOG_TEXT, "}"


def _key_and_name(item: str) -> tuple[str, str]:
    key, equals, name = item.partition("=")
    if equals:
        return key, name
    braced = re.fullmatch(r"\{([^}]*)\}([io])", item)
    return (braced[1].lower() if braced is not None else item), item

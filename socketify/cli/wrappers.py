"""What stands between the server and an ASGI or WSGI application: proxies' fields, the access log, the count of requests."""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import json
import sys
import time
from collections.abc import Awaitable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Callable, Optional
from urllib.parse import quote

from .loading import LoadError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class RequestCounter:
    """Calls back when so many requests have begun."""

    def __init__(self) -> None:
        self._left = -1
        self._close: Callable[[], Any] = lambda: None

    def close_after(self, count: int, close: Callable[[], Any]) -> None:
        """Set how many requests there may be, and what to call then."""
        self._left = count
        self._close = close

    def count(self) -> None:
        """Count one."""
        self._left -= 1
        if self._left == 0:
            self._close()


class TrustedProxies:
    """The addresses whose word on the client is believed.

    Args:
        text: addresses and networks with commas between, or ``*``.

    Raises:
        LoadError: one is neither.

    """

    def __init__(self, text: str) -> None:
        self._all = text.strip() == "*"
        self._networks: list[Any] = []
        for each in [] if self._all else filter(None, (part.strip() for part in text.split(","))):
            try:
                self._networks.append(ipaddress.ip_network(each, strict=False))
            except ValueError as error:
                message = f"--forwarded-allow-ips: {each!r} is no address or network"
                raise LoadError(message) from error

    def trusts(self, address: str) -> bool:
        """Tell whether it is one of them; a Unix-domain socket has no address, and whoever can reach it is trusted."""
        if self._all or not address:
            return True
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def client(self, address: str, forwarded_for: str) -> str:
        """Find the client: the last address of the list that is no proxy."""
        chain = [each.strip() for each in forwarded_for.split(",") if each.strip()]
        for each in reversed(chain):
            if not self.trusts(each) or self._all:
                return chain[0] if self._all else each
        return chain[0] if chain else address


class AccessLog:
    """Writes a line for each response to standard output.

    Args:
        format_name: ``common`` (the Common Log Format) or ``json``.

    """

    def __init__(self, format_name: str) -> None:
        self._is_json = format_name == "json"

    def write(self, client: str, method: str, target: str, version: str, status: int, length: int, began: float) -> None:
        """Write one line."""
        now = datetime.datetime.now(datetime.timezone.utc).astimezone()
        if self._is_json:
            line = json.dumps(
                {
                    "time": now.isoformat(timespec="milliseconds"),
                    "client": client,
                    "method": method,
                    "target": target,
                    "version": version,
                    "status": status,
                    "bytes": length,
                    "milliseconds": round((time.perf_counter() - began) * 1000, 3),
                }
            )
        else:
            stamp = now.strftime("%d/%b/%Y:%H:%M:%S %z")
            # The target is visible ASCII; quotes are the only characters of it that the format gives a meaning.
            request = f"{method} {target} HTTP/{version}".replace('"', "%22")
            line = f'{client or "-"} - - [{stamp}] "{request}" {status} {length}'
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


@dataclass
class Wrapped:
    """An application in its wrappers, and what counts its requests."""

    application: Any
    counter: Optional[RequestCounter] = None


def wrap(application: Any, interface: str, settings: argparse.Namespace) -> Wrapped:
    """Put an application into the wrappers that the settings ask for.

    Raises:
        LoadError: they cannot be had for its interface.

    """
    counter = RequestCounter() if settings.limit_max_requests else None
    proxies = TrustedProxies(settings.forwarded_allow_ips) if settings.proxy_headers else None
    log = None if settings.access_log == "off" else AccessLog(settings.access_log)
    if counter is None and proxies is None and log is None:
        return Wrapped(application)
    if interface in ("asgi", "asgi3"):
        return Wrapped(_ASGIWrapper(application, counter, proxies, log), counter)
    if interface == "wsgi":
        return Wrapped(_WSGIWrapper(application, counter, proxies, log), counter)
    message = f"--limit-max-requests, --proxy-headers and --access-log are for ASGI and WSGI, not for {interface}"
    raise LoadError(message)


class _ASGIWrapper:
    def __init__(
        self, app: Any, counter: Optional[RequestCounter], proxies: Optional[TrustedProxies], log: Optional[AccessLog]
    ) -> None:
        self._app, self._counter, self._proxies, self._log = app, counter, proxies, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if self._counter is not None:
            self._counter.count()
        if self._proxies is not None:
            scope = self._behind_proxy(self._proxies, scope)
        if self._log is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._logged(self._log, scope, receive, send)

    async def _logged(self, log: AccessLog, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status, length = 500, 0

        async def observe(message: Any) -> None:
            nonlocal status, length
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                length += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            target = scope.get("raw_path", b"").decode("latin-1")
            if scope["query_string"]:
                target += "?" + scope["query_string"].decode("latin-1")
            client = (scope.get("client") or ("",))[0]
            log.write(client, scope["method"], target, scope["http_version"], status, length, began)

    @staticmethod
    def _behind_proxy(proxies: TrustedProxies, scope: Scope) -> Scope:
        client = scope.get("client")
        address = client[0] if client else ""
        if not proxies.trusts(address):
            return scope
        headers = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
        changed = dict(scope)
        forwarded_for = ",".join(value for name, value in headers if name == b"x-forwarded-for")
        if forwarded_for:
            changed["client"] = (proxies.client(address, forwarded_for), 0)
        scheme = next((value.strip() for name, value in headers if name == b"x-forwarded-proto"), "")
        if scheme in ("http", "https"):
            secure = scheme == "https"
            changed["scheme"] = scheme if scope["type"] == "http" else ("wss" if secure else "ws")
        return changed


class _WSGIWrapper:
    def __init__(
        self, app: Any, counter: Optional[RequestCounter], proxies: Optional[TrustedProxies], log: Optional[AccessLog]
    ) -> None:
        self._app, self._counter, self._proxies, self._log = app, counter, proxies, log

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._counter is not None:
            self._counter.count()
        if self._proxies is not None:
            self._behind_proxy(self._proxies, environ)
        if self._log is None:
            result: Iterable[bytes] = self._app(environ, start_response)
            return result
        return self._logged(self._log, environ, start_response)

    def _logged(self, log: AccessLog, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        began = time.perf_counter()
        status = 500

        def observe(line: str, headers: Any, exc_info: Any = None) -> Any:
            nonlocal status
            status = int(line.split(" ", 1)[0])
            return start_response(line, headers, exc_info) if exc_info else start_response(line, headers)

        result: Any = ()
        length = 0
        try:
            result = self._app(environ, observe)
            for piece in result:
                length += len(piece)
                yield piece
        finally:
            if hasattr(result, "close"):
                result.close()
            target = _wsgi_target(environ)
            version = environ["SERVER_PROTOCOL"].partition("/")[2]
            log.write(environ.get("REMOTE_ADDR", ""), environ["REQUEST_METHOD"], target, version, status, length, began)

    @staticmethod
    def _behind_proxy(proxies: TrustedProxies, environ: dict[str, Any]) -> None:
        address = environ.get("REMOTE_ADDR", "")
        if not proxies.trusts(address):
            return
        forwarded_for = environ.get("HTTP_X_FORWARDED_FOR", "")
        if forwarded_for:
            environ["REMOTE_ADDR"] = proxies.client(address, forwarded_for)
        scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").strip()
        if scheme in ("http", "https"):
            environ["wsgi.url_scheme"] = scheme


def _wsgi_target(environ: Mapping[str, Any]) -> str:
    path = quote((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"))
    query = environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path

"""The host names of an app: their routes, their certificates, and the renewal of these."""

from __future__ import annotations

import ctypes
import inspect
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, cast

from ..app.routers import DomainRouter
from ..native import abi, lib
from ..topics.topics import WebSockets
from .options import AppOptions
from .tls import set_certificate

if TYPE_CHECKING:
    from ..app.app import App

Self = TypeVar("Self", bound="ServerNames")
MissingNameHandler = Callable[[str], Any]


class ServerNames(WebSockets):
    """The base of an app that knows host names."""

    def _init_server_names(self, options: Optional[AppOptions]) -> None:
        self._options = options
        self._name_options: dict[str, AppOptions] = {}
        self._missing_name_handler: Optional[MissingNameHandler] = None
        self._missing_name_callback = abi.TlsMissingCallback(self._on_missing_name)
        if options is not None and options.wants_tls:
            self._configure(lambda native: set_certificate(native, "", options))
            self._on_hangup = self._reload_on_hangup

    @property
    def is_secure(self) -> bool:
        """Whether the app serves HTTPS and wss."""
        return self._options is not None and self._options.wants_tls

    def domain(self, hostname: str) -> DomainRouter:
        """Give the router of one host name, or of a wildcard as ``*.example.org``. What it does not match goes on here.

        Raises:
            ValueError: it is no host name.

        """
        return DomainRouter(cast("App", self), checked_hostname(hostname))

    def add_server_name(self: Self, hostname: str, options: Optional[AppOptions] = None) -> Self:
        """Know a host name, with a certificate of its own (RFC 6066 section 3); :meth:`domain` gives its routes.

        Args:
            hostname: a name, or a wildcard as ``*.example.org``, which also stands for deeper names that have no nearer one.
            options: TLS files of this name; None for those of the app. ``handshake_timeout`` is always the app's.

        Raises:
            OSError: a file cannot be read.
            RuntimeError: options name TLS files, and the app serves plain HTTP.
            ValueError: it is no host name, or an option is wrong; the message names it.

        """
        name = checked_hostname(hostname)
        if options is None or not options.wants_tls:
            return self
        if not self.is_secure:
            message = f"server name {hostname!r}: its certificate needs an app that has one itself: App(AppOptions(...))"
            raise RuntimeError(message)
        self._configure(lambda native: set_certificate(native, name, options))
        self._name_options[name] = options
        return self

    def remove_server_name(self: Self, hostname: str) -> Self:
        """Forget a host name, its routes and its certificate. Connections that exist live on.

        Raises:
            ValueError: it is no host name.

        """
        name = checked_hostname(hostname)
        host = name.encode()

        def remove(native: int) -> None:
            lib.sk_app_remove_host(native, host, len(host))
            lib.sk_app_tls_remove(native, host, len(host))

        self._configure(remove)
        self._name_options.pop(name, None)
        return self

    def missing_server_name(self: Self, handler: Optional[MissingNameHandler]) -> Self:
        """Call back when a client asks for a server name without a certificate, in the middle of its handshake.

        Args:
            handler: ``handler(hostname)`` may call :meth:`add_server_name`, whose certificate this client gets; else the
                app's own. A coroutine runs as a task, and serves later clients. None for no handler.

        Raises:
            TypeError: it is not callable.
            RuntimeError: the app serves plain HTTP.

        """
        if handler is not None and not callable(handler):
            message = f"handler must be callable as handler(hostname), not {handler!r}"
            raise TypeError(message)
        if not self.is_secure:
            message = "missing_server_name needs an app that serves TLS: App(AppOptions(...))"
            raise RuntimeError(message)

        self._missing_name_handler = handler
        callback = abi.TlsMissingCallback() if handler is None else self._missing_name_callback
        self._configure(lambda native: lib.sk_app_tls_on_missing(native, callback))
        return self

    def _on_missing_name(self, address: int, length: int) -> None:
        handler = self._missing_name_handler
        if handler is None:
            return
        try:
            result = handler(ctypes.string_at(address, length).decode("latin-1"))
            if inspect.isawaitable(result):
                self.run_async(result)
        except BaseException as error:  # native code is the caller
            self._fail(error, None, None)

    def reload_certificates(self: Self) -> Self:
        """Read all TLS files again, for the connections to come; those that exist live on. SIGHUP does it too.

        Raises:
            OSError: a file cannot be read.
            RuntimeError: the app serves plain HTTP.
            ValueError: the content of a file is wrong. Names whose files are right are renewed all the same, and what was
                there before stays for the others.

        """
        if not self.is_secure:
            message = "reload_certificates needs an app that serves TLS: App(AppOptions(...))"
            raise RuntimeError(message)
        if not self._home.is_current and self._accepts():
            self._home.ask(self.reload_certificates)
            return self
        first: Optional[Exception] = None
        for name, options in (("", cast("AppOptions", self._options)), *self._name_options.items()):
            try:
                set_certificate(self._alive(), name, options)
            except (OSError, ValueError) as error:
                first = first or error
        if first is not None:
            raise first
        return self

    def _reload_on_hangup(self) -> None:
        try:
            self.reload_certificates()
        except Exception as error:
            self._fail(error, None, None)

    def get_failed_handshakes(self) -> int:
        """Tell how many TLS handshakes failed since the app exists."""
        if not self._accepts():
            return int(lib.sk_app_tls_failures(self._alive()))
        return int(self._home.ask(lambda: lib.sk_app_tls_failures(self._alive())))


def checked_hostname(hostname: str) -> str:
    """Bring a host name, or a wildcard as ``*.example.org``, into the form that clients send it in.

    Raises:
        ValueError: it is none.

    """
    if not isinstance(hostname, str) or not hostname:
        message = f"hostname must be a str that is not empty, not {hostname!r}"
        raise ValueError(message)
    wildcard = "*." if hostname.startswith("*.") else ""
    try:
        name = hostname[len(wildcard) :].encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        message = f"hostname is not a host name: {hostname!r}"
        raise ValueError(message) from error
    if not name or not all(part and part.replace("-", "").replace("_", "").isalnum() for part in name.split(".")):
        message = f"hostname is not a host name: {hostname!r}"
        raise ValueError(message)
    return wildcard + name

"""The certificates of an app's host names, and their renewal."""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Mapping
from typing import Any, Callable, Optional

from ..native import abi, lib
from .core import Core
from .options import AppOptions
from .tls import set_certificate

#: ``handler(hostname)``, sync or async.
MissingNameHandler = Callable[[str], Any]


class ServerNames:
    """The host names of an app (RFC 6066 section 3).

    Args:
        core: of the app.
        options: TLS files of the app; None for plain HTTP.

    Raises:
        OSError: a file cannot be read.
        ValueError: an option is wrong; the message names it.

    """

    def __init__(self, core: Core, options: Optional[AppOptions]) -> None:
        self._core = core
        self._options: dict[str, AppOptions] = {}
        self._missing_name_handler: Optional[MissingNameHandler] = None
        self._missing_name_callback = abi.TlsMissingCallback(self._on_missing_name)
        core.callbacks.append(self._missing_name_callback)
        if options is not None and options.wants_tls:
            self._options[""] = options
            core.configure(lambda native: set_certificate(native, "", options))
            core.is_secure = True

    def _check_secure(self, what: str) -> None:
        if not self._core.is_secure:
            message = f"{what} needs an app that serves TLS: App(AppOptions(...))"
            raise RuntimeError(message)

    def add(self, hostname: str, options: Optional[AppOptions]) -> None:
        """Add a host name with a certificate of its own; see :meth:`socketify.App.add_server_name`."""
        name = checked_hostname(hostname)
        if options is None or not options.wants_tls:
            return
        if options.reload_interval:
            message = (
                f"server name {hostname!r}: reload_interval is an option of the app, whose looks are at the names' files, too"
            )
            raise ValueError(message)
        if not self._core.is_secure:
            message = f"server name {hostname!r}: its certificate needs an app that has one itself: App(AppOptions(...))"
            raise RuntimeError(message)
        # The clock of a handshake runs before the client says which name it wants.
        of_app = self._options[""].handshake_timeout
        if options.handshake_timeout not in (of_app, AppOptions.handshake_timeout):
            message = f"server name {hostname!r}: handshake_timeout is an option of the app, where it is {of_app}"
            raise ValueError(message)
        self._core.configure(lambda native: set_certificate(native, name, options))
        self._options[name] = options

    def remove(self, hostname: str) -> None:
        """Forget a host name, its routes and its certificate; see :meth:`socketify.App.remove_server_name`."""
        name = checked_hostname(hostname)
        host = name.encode()

        def remove(native: int) -> None:
            lib.sk_app_remove_host(native, host, len(host))
            lib.sk_app_tls_remove(native, host, len(host))

        self._core.configure(remove)
        self._options.pop(name, None)

    def on_missing(self, handler: Optional[MissingNameHandler]) -> None:
        """Call back when a client asks for a name without a certificate; see :meth:`socketify.App.missing_server_name`."""
        if handler is not None and not callable(handler):
            message = f"handler must be callable as handler(hostname), not {handler!r}"
            raise TypeError(message)
        self._check_secure("missing_server_name")
        self._missing_name_handler = handler
        callback = abi.TlsMissingCallback() if handler is None else self._missing_name_callback
        self._core.configure(lambda native: lib.sk_app_tls_on_missing(native, callback))

    def _on_missing_name(self, address: int, length: int) -> None:
        handler = self._missing_name_handler
        if handler is None:
            return
        try:
            result = handler(ctypes.string_at(address, length).decode("latin-1"))
            if inspect.isawaitable(result):
                self._core.run_async(result)
        except BaseException as error:  # native code is the caller
            self._core.fail(error)

    def reload(self) -> None:
        """Read all TLS files again; see :meth:`socketify.App.reload_certificates`."""
        self._check_secure("reload_certificates")
        core = self._core
        if not core.home.is_current and core.accepts():
            core.home.ask(self.reload)
            return
        first: Optional[Exception] = None
        for name, options in self._options.items():
            try:
                set_certificate(core.alive(), name, options)
            except (OSError, ValueError) as error:
                first = first or error
        if first is not None:
            raise first

    @property
    def options(self) -> Mapping[str, AppOptions]:
        """The options of all names; those of the app have an empty one."""
        return self._options

    def reload_name(self, name: str) -> None:
        """Read the TLS files of one name again; see :meth:`reload`."""
        set_certificate(self._core.alive(), name, self._options[name])

    def report(self, error: Exception) -> None:
        """Report what is wrong with files that were read again."""
        self._core.fail(error)

    def reload_on_hangup(self) -> None:
        """Read all TLS files again, and report what is wrong with them."""
        try:
            self.reload()
        except Exception as error:
            self._core.fail(error)

    def count_failed_handshakes(self) -> int:
        """Return how many TLS handshakes failed since the app was made."""
        core = self._core
        if not core.accepts():
            return int(lib.sk_app_tls_failures(core.alive()))
        return int(core.home.ask(lambda: lib.sk_app_tls_failures(core.alive())))


def checked_hostname(hostname: str) -> str:
    """Bring a host name, or a wildcard as ``*.example.org``, into the form that clients send it in.

    Raises:
        ValueError: it is not a host name.

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

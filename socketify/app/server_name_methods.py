"""The methods of an app about the names under which it is served, and their certificates."""

from __future__ import annotations

from typing import Optional, TypeVar

from ..core.core import Core
from ..core.options import AppOptions
from ..core.server_names import MissingNameHandler, ServerNames, checked_hostname
from ..http.handlers import Handlers
from ..websocket.routes import WebSocketRoutes
from .routers import DomainRouter

Self = TypeVar("Self", bound="ServerNameMethods")


class ServerNameMethods:
    """The methods of an app that are about host names and TLS."""

    #: For the framework.
    core: Core
    handlers: Handlers
    websocket_routes: WebSocketRoutes
    server_names: ServerNames

    @property
    def is_secure(self) -> bool:
        """Whether the app serves HTTPS and wss."""
        return self.core.is_secure

    def domain(self, hostname: str) -> DomainRouter:
        """Return the router of one host name, or of a wildcard as ``*.example.org``. The app routes what it does not match.

        Raises:
            ValueError: it is not a host name.

        """
        return DomainRouter(self.handlers, self.websocket_routes, checked_hostname(hostname))

    def add_server_name(self: Self, hostname: str, options: Optional[AppOptions] = None) -> Self:
        """Add a host name, with a certificate of its own (RFC 6066 section 3); :meth:`domain` returns the router of its routes.

        Args:
            hostname: a name, or a wildcard as ``*.example.org``, which also covers deeper names that no nearer one covers.
            options: TLS files of this name; None for those of the app. ``handshake_timeout`` and
                ``reload_interval`` are the app's, and another value is an error.

        Raises:
            OSError: a file cannot be read.
            RuntimeError: options name TLS files, and the app serves plain HTTP.
            ValueError: it is not a host name, or an option is wrong; the message names it.

        """
        self.server_names.add(hostname, options)
        return self

    def remove_server_name(self: Self, hostname: str) -> Self:
        """Forget a host name, its routes and its certificate. Existing connections go on.

        Raises:
            ValueError: it is not a host name.

        """
        self.server_names.remove(hostname)
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
        self.server_names.on_missing(handler)
        return self

    def reload_certificates(self: Self) -> Self:
        """Read all TLS files again, for later connections; existing ones go on. SIGHUP does the same.

        Raises:
            OSError: a file cannot be read.
            RuntimeError: the app serves plain HTTP.
            ValueError: the content of a file is wrong. Names whose files are right still get their new certificates, and the
                others keep what they had.

        """
        self.server_names.reload()
        return self

    def get_failed_handshakes(self) -> int:
        """Return how many TLS handshakes failed since the app was made."""
        return self.server_names.count_failed_handshakes()

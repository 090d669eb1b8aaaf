"""The connection behind a response."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from ..native import lib
from ..native.abi import GONE

if TYPE_CHECKING:
    from ..app.app import App

    Self = TypeVar("Self", bound="Connection")


class Connection:
    """What a response knows of its client. After the client left, methods do nothing; see :attr:`aborted`."""

    __slots__ = ("__weakref__", "_abort_handlers", "_aborted", "_app", "_dirty", "_handle")

    def __init__(self, app: App) -> None:
        self._app = app
        self._handle = 0
        self._reset()

    def _reset(self) -> None:
        self._dirty = False
        self._abort_handlers: list[Callable[[Any], Any]] = []
        self._aborted = False

    @property
    def aborted(self) -> bool:
        """Whether the client left before the response ended. What a program sets here is gone with the request."""
        return self._aborted

    @aborted.setter
    def aborted(self, value: bool) -> None:
        self._dirty = True
        self._aborted = value

    def _late(self: Self, what: str) -> Self:
        if self._aborted:
            return self
        message = f"{what}: the response has ended already"
        raise RuntimeError(message)

    def _is_elsewhere(self) -> bool:
        """Tell whether another thread than the app's calls: native code does not know the response there."""
        return threading.get_ident() != self._app._thread

    def _forward(self: Self, function: Callable[..., object], *arguments: Any) -> Self:
        """Let the app's thread call a function, after all that was forwarded before; an error goes to the error handler."""
        self._app._forward(self._forwarded, function, arguments)
        return self

    def _forwarded(self, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        if not self.aborted:
            self._app._guard(self, function, *arguments)

    def _check_thread(self, what: str) -> None:
        """Raise a RuntimeError when another thread than the app's calls what has a result, or cannot be forwarded."""
        if self._handle and self._is_elsewhere():
            raise RuntimeError(elsewhere(what))

    def _mark_aborted(self) -> None:
        self._dirty = True
        self._aborted = True

    def on_aborted(self: Self, handler: Callable[[Self], Any]) -> Self:
        """Call back when the client leaves before the response ended.

        Who answers later holds the response himself: one that nobody holds ends at once, with a 500 or a cut.
        """
        if not self._handle:
            return self._late("on_aborted")
        self._dirty = True
        self._abort_handlers.append(handler)
        self._app._follow(self)
        return self

    def grab_aborted_handler(self: Self) -> Self:
        """Follow the client, so that :attr:`aborted` tells whether it left: needed nowhere, kept for those who call it."""
        if not self._handle:
            return self._late("grab_aborted_handler")
        self._app._follow(self)
        return self

    def run_async(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine as a task; an error in it goes to the app's error handler with this response."""
        return self._app.run_async(coroutine, self)

    def has_responded(self: Self) -> bool:
        """Tell whether the response has ended, or the client left."""
        return not self._handle

    def _address(self, ask: Callable[[int], int], what: str) -> bytes:
        length = ask(self._handle) if self._handle else 0
        if length > 0:
            return bytes(self._app._view[:length])
        self._check_thread(what)
        return b""

    def get_proxied_remote_address_bytes(self: Self) -> bytes:
        """Give the address that a PROXY protocol v2 header named, packed; empty without one."""
        return self._address(lib.sk_res_proxied_address, "get_proxied_remote_address")

    def get_proxied_remote_address(self: Self) -> str:
        """Give the address that a PROXY protocol v2 header named, as text; empty without one."""
        return address_text(self.get_proxied_remote_address_bytes())

    def get_remote_address_bytes(self: Self) -> bytes:
        """Give the client's address, packed into 4 or 16 bytes; empty for Unix-domain sockets and after the end."""
        return self._address(lib.sk_res_remote_address, "get_remote_address")

    def get_remote_address(self: Self) -> str:
        """Give the client's address as text; empty for Unix-domain sockets and after the end."""
        return address_text(self.get_remote_address_bytes())

    def get_client_certificate(self: Self) -> Optional[bytes]:
        """Give the client's certificate as DER, which was checked against ``ca_file_name``; None without one."""
        return self._address(lib.sk_res_client_certificate, "get_client_certificate") or None

    def pause(self: Self) -> Self:
        """Stop reading from the connection."""
        if self._handle and lib.sk_res_pause(self._handle) == GONE and self._is_elsewhere():
            return self._forward(self.pause)
        return self

    def resume(self: Self) -> Self:
        """Go on reading from the connection."""
        if self._handle and lib.sk_res_resume(self._handle) == GONE and self._is_elsewhere():
            return self._forward(self.resume)
        return self

    def close(self: Self) -> Self:
        """Cut the connection; abort handlers are called."""
        if self._handle:
            self._app._keep(self)
            if lib.sk_res_close(self._handle) == GONE and self._is_elsewhere():
                return self._forward(self.close)
        return self

    def get_native_handle(self: Self) -> int:
        """Give the number by which the native library knows this response; 0 after the end."""
        return self._handle


def elsewhere(what: str) -> str:
    """Say what is to be done instead of calling a method from another thread than the app's."""
    return f"{what} was called from another thread than the app's: use app.loop.loop.call_soon_threadsafe(...)"


def address_text(packed: bytes) -> str:
    """Give a packed address as text."""
    if not packed:
        return ""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)

"""Exchanges that go on after their handler returned, and native code's events for their handles."""

from __future__ import annotations

import ctypes
import weakref
from typing import Any, Callable, Optional, Protocol

from ..native.collected_bytes import CollectedBytes

#: By handle, a function that returns the exchange, or None when it cannot be ended any more.
LiveExchanges = dict[int, Callable[[], Optional["LiveExchange"]]]


class LiveExchange(Protocol):
    """What gets the events of a request. If it has ``on_stop(late)``, that is called when its app stops."""

    @property
    def collected(self) -> Optional[CollectedBytes]:
        """Where the content of the pieces goes before ``on_body`` is called with empty ones, if anywhere."""

    def on_abort(self) -> None:
        """Handle that the client left; the handle is stale from now on."""

    def on_failure(self) -> None:
        """Handle that the request failed; the handle is stale, and what the handler raises because of it is not reported."""

    def on_body(self, chunk: bytes, last: bool) -> None:
        """Take a piece of the request's body."""

    def on_writable(self) -> None:
        """Continue, as the kernel has taken everything that was written."""


_referent = weakref.ref.__call__


class LiveReference(weakref.ref):  # type: ignore[type-arg]
    """What :data:`LiveExchanges` has of an exchange that ends with its response, which is held weakly.

    Called, it returns the exchange, or None when nothing refers to the response any more.
    """

    __slots__ = ("handle",)

    #: Of the response.
    handle: int

    def __call__(self) -> Optional[Any]:
        """Return the exchange."""
        response = _referent(self)
        return None if response is None else response.exchange_

    @property
    def response(self) -> Optional[Any]:
        """The response, if it is there."""
        return _referent(self)


class FailureReport(Protocol):
    """What handles errors."""

    def fail(self, error: BaseException) -> None:
        """Report an error that no request waits for."""

    def fail_exchange(self, handle: int, error: BaseException, what: str = ...) -> None:
        """Let an exchange fail whose handler may be waiting."""


class NativeEvents:
    """The callbacks of the native app. They never raise.

    Args:
        live: the exchanges that go on.
        report: handles errors.

    """

    def __init__(self, live: LiveExchanges, report: FailureReport) -> None:
        self._live = live
        self._report = report

    def on_abort(self, handle: int) -> None:
        """Pass on that the client left."""
        try:
            reference = self._live.pop(handle, None)
            exchange = reference() if reference is not None else None
            if exchange is not None:
                exchange.on_abort()
        except BaseException as error:  # see the class
            self._report.fail(error)

    def on_body(self, handle: int, address: Optional[int], length: int, last: int, receipt: int) -> int:
        """Pass a piece of a body on. Return the receipt even after an error, as that fails the whole request."""
        try:
            exchange = self._find(handle)
            if exchange is None:
                return receipt
            if not length or not address:
                exchange.on_body(b"", bool(last))
            elif exchange.collected is None:
                exchange.on_body(ctypes.string_at(address, length), bool(last))
            else:
                exchange.collected.add(address, length)
                exchange.on_body(b"", bool(last))
        except BaseException as error:  # see the class
            self._report.fail_exchange(handle, error)
        return receipt

    def on_writable(self, handle: int) -> None:
        """Pass on that the connection takes data again."""
        try:
            exchange = self._find(handle)
            if exchange is not None:
                exchange.on_writable()
        except BaseException as error:  # see the class
            self._report.fail_exchange(handle, error)

    def on_timeout(self, handle: int) -> None:
        """Let a request fail whose response was not completed in time."""
        message = "nothing was written for a response within the response_timeout"
        self._report.fail_exchange(handle, TimeoutError(message), "a response was not completed in time")

    def _find(self, handle: int) -> Optional[Any]:
        reference = self._live.get(handle)
        return reference() if reference is not None else None

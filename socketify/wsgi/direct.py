"""WSGI by the C API of CPython: the native side makes the environ, calls the application, and sends what it returned."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..native import abi, lib
from .environ import Environ, field_key
from .exchange import PIECE_BYTES
from .head import Head
from .loop_exchange import LoopExchange

if TYPE_CHECKING:
    from ..app.app import App
    from .gateway import Gateway

#: Takes a request whose application Python calls: handle, SCOPE_BODY or 0, environ.
OnRequest = Callable[[int, int, Environ], None]


class DirectRoute:
    """What the native side needs to serve an application. It must live as long as the apps it was routed to.

    Args:
        gateway: of the application.
        base: what all environs have in common, with the keys of the request line.
        on_request: gets requests with a body, or all of them.
        everything: whether on_request gets all of them.

    """

    def __init__(self, gateway: Gateway, base: Environ, on_request: OnRequest, *, everything: bool) -> None:
        root_path, mounted = _latin1(base["SCRIPT_NAME"])
        objects = {
            "application": None if everything else gateway.application,
            "base": base,
            "field_key": _passed_on,
            "on_request": on_request,
            "new_exchange": _exchange_maker(gateway),
            "on_result": _on_result,
            "on_error": LoopExchange.fail,
            "on_failure": gateway.fail,
            "get_running_loop": asyncio._get_running_loop,
            "set_running_loop": asyncio._set_running_loop,
        }
        self._objects = objects
        options = abi.WsgiOptionsStruct(
            root_path=root_path,
            root_path_length=len(root_path or b"") or mounted,
            secure=base["wsgi.url_scheme"] == "https",
            piece_bytes=PIECE_BYTES,
            **{name: None if each is None else id(each) for name, each in objects.items()},
        )
        self._destroy = lib.sk_wsgi_destroy
        self._native: Optional[int] = None
        self._native = lib.sk_wsgi_create(ctypes.byref(options))
        if not self._native:
            message = "cannot create the native side of WSGI"
            raise MemoryError(message)

    def route(self, native: App) -> None:
        """Route all requests of an app that no route takes before."""
        native._callbacks.append(self)
        native._configure(lambda app: lib.sk_wsgi_route(app, self._native))

    def __del__(self) -> None:
        if self._native:
            self._destroy(self._native)


def _latin1(root_path: str) -> tuple[Optional[bytes], bool]:
    """Encode a mount point, and tell whether there is one. No path can be below one that is not latin-1."""
    try:
        return root_path.encode("latin-1"), bool(root_path)
    except UnicodeEncodeError:
        return None, True


def _passed_on(name: str) -> Optional[str]:
    key = field_key(name)
    return None if key is None else sys.intern(key)


def _exchange_maker(gateway: Gateway) -> Callable[..., tuple[Any, ...]]:
    """Make the function by which Python takes over a request."""

    def new_exchange(
        handle: int, environ: Environ, block: Optional[bytes], fields: int, length: Optional[int], answered: int
    ) -> tuple[Any, ...]:
        exchange = LoopExchange(gateway, handle, environ)
        if block is not None:
            exchange.head = Head(block, fields, length)
        if answered:
            exchange.started = exchange.over = True
            exchange.environ = None
        return exchange, exchange.start_response, exchange.write

    return new_exchange


def _on_result(exchange: LoopExchange, result: Any) -> None:
    try:
        exchange.respond(result)
    except BaseException as error:
        exchange.fail(error)

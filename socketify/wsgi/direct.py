"""WSGI by the C API of CPython: the native side makes the environ, calls the application, and sends what it returned."""

from __future__ import annotations

import ctypes
import sys
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import Iterator, Sequence
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..native import abi, lib
from ..native.abi import WSGI_DONE, WSGI_LEFT, WSGI_OVER, WSGI_STARTED
from .environ import Environ, add_proxy_facts, field_key
from .exchange import PIECE_BYTES
from .file import FileWrapper
from .head import Head
from .loop_exchange import TURN_SECONDS, LoopExchange

if TYPE_CHECKING:
    from .application import WSGIApplication

#: Takes a request whose application Python calls: handle, SCOPE_BODY if a body is still to come or 0, environ, and the
#: wsgi.input of a body that is here.
OnRequest = Callable[[int, int, Environ, Optional[BytesIO]], None]


class DirectRoute:
    """The objects and callbacks by which the native side serves an application. It lives as long as the app.

    Args:
        application: what its requests have in common.
        base: what all environs have in common, with the keys of the request line.
        on_request: called for requests whose body is still to come, or for all of them.
        everything: whether on_request is called for all of them.

    """

    def __init__(self, application: WSGIApplication, base: Environ, on_request: OnRequest, *, everything: bool) -> None:
        root_path, mounted = _latin1(base["SCRIPT_NAME"])
        objects = {
            "application": None if everything else application.function,
            "base": base,
            "field_key": _passed_on,
            "add_facts": add_proxy_facts if application.core.reads_proxy_headers else None,
            "new_input": BytesIO,
            "file_wrapper": FileWrapper,
            "on_request": on_request,
            "new_exchange": _exchange_maker(application),
            "on_result": _on_result,
            "on_blocks": _on_blocks,
            "on_error": LoopExchange.fail,
            "on_failure": application.fail,
            "get_running_loop": _get_running_loop,
            "set_running_loop": _set_running_loop,
        }
        self._core = application.core
        self._objects = objects
        options = abi.WsgiOptionsStruct(
            root_path=root_path,
            root_path_length=len(root_path or b"") or mounted,
            turn_ns=round(TURN_SECONDS * 1e9),
            secure=base["wsgi.url_scheme"] == "https",
            piece_bytes=PIECE_BYTES,
            **{name: None if each is None else id(each) for name, each in objects.items()},
        )
        self._destroy = lib.sk_wsgi_destroy
        self._address: Optional[int] = None
        self._address = lib.sk_wsgi_create(ctypes.byref(options))
        if not self._address:
            message = "cannot create the native side of WSGI"
            raise MemoryError(message)

    def route(self, paths: Sequence[str]) -> None:
        """Take the requests whose paths match one of these patterns, and that no route took before."""
        self._core.callbacks.append(self)
        for pattern in [path.encode() for path in paths]:
            self._core.configure(partial(self._route, pattern))

    def _route(self, pattern: bytes, native: int) -> None:
        lib.sk_wsgi_route(native, pattern, len(pattern), self._address)

    def __del__(self) -> None:
        if self._address:
            self._destroy(self._address)


def _latin1(root_path: str) -> tuple[Optional[bytes], bool]:
    """Return a mount point as bytes, and whether there is one. No path can be below a mount point that is not latin-1."""
    try:
        return root_path.encode("latin-1"), bool(root_path)
    except UnicodeEncodeError:
        return None, True


def _passed_on(name: str) -> Optional[str]:
    key = field_key(name)
    return None if key is None else sys.intern(key)


def _exchange_maker(application: WSGIApplication) -> Callable[..., tuple[Any, ...]]:
    """Make the function that creates the exchange of a request that Python takes over."""

    def new_exchange(
        handle: int,
        environ: Environ,
        body: Optional[BytesIO],
        block: Optional[bytes],
        fields: int,
        length: Optional[int],
        state: int,
        remaining: Optional[int],
    ) -> tuple[Any, ...]:
        exchange = LoopExchange(application, handle, environ)
        exchange.body = body
        if block is not None:
            exchange.head = Head(block, fields, length)
        exchange.started = bool(state & WSGI_STARTED)
        exchange.over = bool(state & WSGI_OVER)
        exchange.left = bool(state & WSGI_LEFT)
        exchange.remaining = remaining
        if state & WSGI_DONE:
            exchange.environ = None
        return exchange, exchange.start_response, exchange.write

    return new_exchange


def _on_result(exchange: LoopExchange, result: Any) -> None:
    try:
        exchange.respond(result)
    except BaseException as error:
        exchange.fail(error)


def _on_blocks(
    exchange: LoopExchange, result: Any, first: tuple[bytes, ...], blocks: Optional[Iterator[bytes]], why: int
) -> None:
    try:
        exchange.go_on(result, first, blocks, why)
    except BaseException as error:
        exchange.fail(error)

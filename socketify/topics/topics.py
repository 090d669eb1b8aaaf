"""The websocket side of an app: routes and publishing."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast

from ..app.extensions import own_class
from ..core.lifecycle import Lifecycle
from ..native import lib
from ..native import publish as _publish
from ..native.lending import lent
from ..websocket.constants import OpCode
from ..websocket.route import WebSocketRoute
from ..websocket.socket import WebSocket, encode_topic, publication

if TYPE_CHECKING:
    from ..app.app import App

    Self = TypeVar("Self", bound="WebSockets")

#: Websocket objects that are kept for reuse when no number was given.
_DEFAULT_POOL_ITEMS = 64


class WebSockets(Lifecycle):
    """The base of an app that has websockets."""

    def _init_websockets(self, pool_items: int) -> None:
        self._websocket_class: type[WebSocket] = own_class(WebSocket)
        self._websockets: dict[int, WebSocket] = {}
        self._websocket_pool_items = max(pool_items, _DEFAULT_POOL_ITEMS)
        self._websocket_pool: list[WebSocket] = [self._websocket_class(cast("App", self)) for _ in range(pool_items)]
        self._websocket_routes: list[WebSocketRoute] = []

    def ws(self: Self, path: str, behavior: Mapping[str, Any]) -> Self:
        """Route websockets.

        Args:
            path: as for HTTP routes, which may have the same path: requests that are no upgrades are theirs.
            behavior: options and handlers. The options are ``compression`` (``CompressOptions.DISABLED``),
                ``max_payload_length`` (16 MiB; larger messages end the connection with 1009), ``idle_timeout`` (20 seconds;
                0 for none), ``max_backpressure`` (64 KiB), ``close_on_backpressure_limit`` (False),
                ``reset_idle_timeout_on_send`` (False), ``send_pings_automatically`` (True), ``max_lifetime`` (0, in
                minutes; 0 for no limit), ``allowed_origins`` (None for all; others get 403), ``max_connections`` (0 for no
                limit; more get 503) and ``max_connections_per_address`` (0; more get 429). The handlers, sync or async, are
                ``upgrade(res, req, socket_context)``, ``open(ws)``, ``message(ws, message, opcode)``, ``drain(ws)``,
                ``ping(ws, message)``, ``pong(ws, message)``, ``close(ws, code, message)`` and
                ``subscription(ws, topic, subscriptions, subscriptions_before)``.

        Raises:
            TypeError, ValueError: an argument is wrong; the message names the key.

        """
        self._add_websocket("", path, behavior)
        return self

    def _add_websocket(self, hostname: str, path: str, behavior: Mapping[str, Any]) -> None:
        names = checked_path(path)
        route = WebSocketRoute(cast("App", self), behavior, names)
        host, pattern = hostname.encode(), path.encode()
        self._websocket_routes.append(route)

        def add(native: int) -> None:
            route.number = lib.sk_app_ws(native, host, len(host), pattern, len(pattern), ctypes.byref(route.struct))
            if route.number < 0:
                message = "cannot add the route: memory is exhausted"
                raise MemoryError(message)

        self._configure(add)

    def publish(self, topic: str, data: Any, opcode: Union[OpCode, int] = OpCode.BINARY, compress: bool = False) -> bool:
        """Send to all websockets that are subscribed to a topic. Thread-safe.

        Args:
            topic: its name.
            data: str (sent as UTF-8), bytes, bytearray, memoryview, or anything else, which goes through the JSON serializer.
            opcode: TEXT or BINARY.
            compress: whether to compress it, where that was negotiated.

        Returns:
            Whether there was anybody; from another thread than the app's, whether the app runs.

        Raises:
            TypeError, ValueError: an argument is wrong.

        """
        here = threading.get_ident() == self._thread
        if here and not compress:
            somebody = _publish(self._native, topic, data, opcode)
            if somebody is not None:
                return somebody
        name, payload, flags = publication(cast("App", self), topic, data, opcode, compress)
        if here:
            if not self._native:
                return False
            with lent(payload) as content:
                return bool(lib.sk_app_publish(self._native, name, len(name), content, len(payload), flags) == 1)
        if self._home.loop is None or not self._native:
            return False
        self._home.call_soon(self._publish_later, name, payload, flags)
        return True

    def _publish_later(self, name: bytes, payload: bytes, flags: int) -> None:
        if self._native:
            with lent(payload) as content:
                lib.sk_app_publish(self._native, name, len(name), content, len(payload), flags)

    def num_subscribers(self, topic: str) -> int:
        """Give the number of websockets that are subscribed to a topic.

        Raises:
            RuntimeError: another thread asks, and the app's does not get to it.

        """
        name = encode_topic(topic)
        if not self._native or (self._home.loop is None and not self._home.is_current):
            return 0
        return int(self._home.ask(lambda: lib.sk_app_num_subscribers(self._native, name, len(name)) if self._native else 0))


def checked_path(path: str) -> tuple[str, ...]:
    """Give the names of a path's parameters.

    Raises:
        ValueError: it does not begin with a slash, or has a wildcard before its end.

    """
    if not isinstance(path, str) or not path.startswith("/"):
        message = f"path must be a str that begins with '/', not {path!r}"
        raise ValueError(message)
    if "*" in path[:-1] and any(part.startswith("*") for part in path.split("/")[:-1]):
        message = f"path can have '*' only as its last part: {path!r}"
        raise ValueError(message)
    return tuple(part[1:] for part in path.split("/") if part.startswith(":"))

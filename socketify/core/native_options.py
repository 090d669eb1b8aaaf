"""The options with which a native app is made."""

from __future__ import annotations

from typing import Callable, Optional, Union

from ..native import abi, request_handler
from .core import Core
from .limits import Limits
from .waiting_clients import WaitingClients

#: What clients may speak: HTTP/1.1 and HTTP/2, or one of them.
HTTP_VERSIONS = {"auto": abi.HTTP_AUTO, "1": abi.HTTP_1, "2": abi.HTTP_2}

#: Whether connections begin with a header of the PROXY protocol; with True those that do not are refused.
PROXY_PROTOCOLS: dict[Union[bool, str], int] = {
    False: abi.PROXY_OFF,
    True: abi.PROXY_REQUIRED,
    "optional": abi.PROXY_OPTIONAL,
    "required": abi.PROXY_REQUIRED,
}


def native_options(
    core: Core,
    limits: Limits,
    http: str,
    server_header: Optional[str],
    date_header: bool,
    accept_proxy_protocol: Union[bool, str],
    on_missing: Callable[[int], int],
    on_drained: Callable[[], None],
) -> abi.AppOptionsStruct:
    """Return the argument of :meth:`Core.open`.

    Args:
        core: of the app.
        limits: of requests and connections.
        http: what clients may speak, one of ``HTTP_VERSIONS``.
        server_header: value of the Server field; None to send none.
        date_header: whether Date is sent.
        accept_proxy_protocol: whether connections begin with a header of the PROXY protocol, one of ``PROXY_PROTOCOLS``.
        on_missing: answers requests that no route takes; gets the handle of the response.
        on_drained: is called when the last connection of an app that drains is closed.

    """
    waiting_clients = WaitingClients(limits.max_connections)

    def on_waiting(reason: int, waiting: int) -> None:
        try:
            waiting_clients(reason, waiting)
        except BaseException as error:  # native code is the caller
            core.fail(error)

    if not isinstance(http, str) or http not in HTTP_VERSIONS:
        message = f"http must be one of {', '.join(map(repr, HTTP_VERSIONS))}, not {http!r}"
        raise ValueError(message)
    if not isinstance(accept_proxy_protocol, (bool, str)) or accept_proxy_protocol not in PROXY_PROTOCOLS:
        message = f"accept_proxy_protocol must be True, False or 'optional', not {accept_proxy_protocol!r}"
        raise ValueError(message)
    proxy_protocol = PROXY_PROTOCOLS[accept_proxy_protocol]
    core.reads_proxy_headers = proxy_protocol != abi.PROXY_OFF
    events = core.events
    missing_function, missing_object = request_handler(on_missing)
    core.callbacks.append(on_missing)
    server = None if server_header is None else server_header.encode("latin-1")
    return abi.AppOptionsStruct(
        **limits.native(),
        http_version=HTTP_VERSIONS[http],
        date_header=1 if date_header else 0,
        proxy_protocol=proxy_protocol,
        server_header=server,
        server_header_length=len(server or b""),
        on_missing=missing_function,
        on_missing_object=missing_object,
        on_abort=abi.AbortCallback(events.on_abort),
        on_body=abi.BodyCallback(events.on_body),
        on_writable=abi.WritableCallback(events.on_writable),
        on_timeout=abi.TimeoutCallback(events.on_timeout),
        on_drained=abi.DrainedCallback(on_drained),
        on_waiting=abi.WaitingCallback(on_waiting),
    )

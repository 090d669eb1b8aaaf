"""What an app looks at beside its handlers: who its clients are, what requests are called, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Optional, Union

from ..native import abi, lib
from ..wire.headers import Headers, field_name, field_value, flatten
from ..wire.networks import packed_networks
from .access_log import AccessLog, LogDestination
from .core import Core

TrustedProxies = Union[str, int, Iterable[str], None]
FieldNames = Union[str, Iterable[str]]

_PROXIES_MAX = 100
_FORWARDED_FIELDS = {
    "forwarded": abi.FORWARDED,
    "x-forwarded-for": abi.FORWARDED_FOR,
    "x-forwarded-proto": abi.FORWARDED_PROTO,
    "x-forwarded-host": abi.FORWARDED_HOST,
    "x-forwarded-port": abi.FORWARDED_PORT,
    "x-forwarded-prefix": abi.FORWARDED_PREFIX,
}
#: What most proxies write themselves, whatever the client sent.
USUAL_FORWARDED_HEADERS = ("x-forwarded-for", "x-forwarded-proto")
#: What the server decides about, in lower case.
_OWN_FIELDS = (b"connection", b"content-length", b"transfer-encoding", b"date", b"server", b"keep-alive", b"upgrade")
#: The field of request ids that has no other name.
REQUEST_ID_FIELD = "x-request-id"


def observe(
    core: Core,
    trusted_proxies: TrustedProxies,
    forwarded_headers: FieldNames,
    response_headers: Optional[Headers],
    request_id: Union[bool, str],
) -> None:
    """Set up what an app looks at, the access log excepted; see :class:`socketify.App` for the arguments.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names it.

    """
    flags = _forwarded_flags(forwarded_headers)
    if trusted_proxies is not None:
        networks, hops = _trusted(trusted_proxies)
        core.trusts_proxies = True
        core.configure(lambda native: lib.sk_app_trust(native, networks, len(networks), hops, flags))
    for name, value in _checked(response_headers):
        core.configure(partial(_add_field, name, value))
    if request_id is not False:
        key = field_name(REQUEST_ID_FIELD if request_id is True else request_id).lower()
        core.request_id_field = key.decode()
        core.configure(lambda native: lib.sk_app_name_requests(native, key, len(key)))


def new_access_log(format_text: Optional[str], destination: LogDestination) -> Optional[AccessLog]:
    """Make the access log of an app: None without a format and a destination; ``combined`` where only that is missing."""
    if format_text is None and destination is None:
        return None
    return AccessLog("combined" if format_text is None else format_text, destination)


def _checked(headers: Optional[Headers]) -> Iterator[tuple[bytes, bytes]]:
    parts: list[Any] = []
    flatten(() if headers is None else headers, parts)
    for name, value in zip(parts[::2], parts[1::2]):
        key = field_name(name)
        if key.lower() in _OWN_FIELDS:
            message = f"response_headers: the server decides about {name!r} itself"
            raise ValueError(message)
        yield key, field_value(key, value)


def _add_field(name: bytes, value: bytes, native: int) -> None:
    lib.sk_app_add_field(native, name, len(name), value, len(value))


def _trusted(proxies: Union[str, int, Iterable[str]]) -> tuple[bytes, int]:
    if not isinstance(proxies, int):
        return packed_networks(proxies), 0
    if isinstance(proxies, bool) or not 0 < proxies <= _PROXIES_MAX:
        message = f"trusted_proxies must be addresses and networks, or a number from 1 to {_PROXIES_MAX}, not {proxies!r}"
        raise ValueError(message)
    return b"", proxies


def _forwarded_flags(names: FieldNames) -> int:
    flags = 0
    for name in names.split(",") if isinstance(names, str) else names:
        flag = _FORWARDED_FIELDS.get(name.strip().lower()) if isinstance(name, str) else None
        if flag is None:
            message = f"forwarded_headers must be some of {', '.join(_FORWARDED_FIELDS)}, not {name!r}"
            raise ValueError(message)
        flags |= flag
    if not flags:
        message = "forwarded_headers must name a field"
        raise ValueError(message)
    return flags

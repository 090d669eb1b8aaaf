"""The proxies in front of an app that it trusts to say who the client is."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Union

_EVERYBODY = "*"
_MAPPED_PREFIX_BITS = 96


def packed_networks(proxies: Union[str, Iterable[str]]) -> bytes:
    """Return addresses and networks in the form of ``sk_app_trust``.

    Args:
        proxies: addresses and networks, a list or with commas between, or ``*`` for all.

    Raises:
        TypeError: it is neither str nor an iterable of str.
        ValueError: one is neither an address nor a network; the message names it.

    """
    parts = proxies.split(",") if isinstance(proxies, str) else list(proxies)
    packed = b""
    for part in parts:
        if not isinstance(part, str):
            message = f"trusted_proxies must be addresses and networks as str, not {part!r}"
            raise TypeError(message)
        text = part.strip()
        if text:
            packed += bytes(17) if text == _EVERYBODY else _packed(text)
    return packed


def _packed(text: str) -> bytes:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        message = f"trusted_proxies: {text!r} is no address or network"
        raise ValueError(message) from error
    address = network.network_address.packed
    if network.version == 4:
        return bytes(10) + b"\xff\xff" + address + bytes([_MAPPED_PREFIX_BITS + network.prefixlen])
    return address + bytes([network.prefixlen])

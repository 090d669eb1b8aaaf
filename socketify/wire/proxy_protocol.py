"""What a header of the PROXY protocol, version 2, says beside the addresses: types, lengths and values (its section 2.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

_TLS = 0x20
#: Of the first byte of what is said of TLS.
_HAS_CERTIFICATE, _HAS_CERTIFICATE_OF_SESSION = 2, 4
_TEXTS = {0x01: "alpn", 0x02: "authority", 0x30: "netns"}
_TLS_TEXTS = {0x21: "version", 0x22: "client_name", 0x23: "cipher", 0x24: "signature_algorithm", 0x25: "key_algorithm"}
_UNIQUE_ID = 0x05
_NO_OPERATION = 0x04


def read_tlvs(data: bytes) -> dict[str, Any]:
    """Return facts by their names.

    Args:
        data: what follows the addresses; what does not fit ends it.

    Returns:
        What the proxy said of: ``authority`` (the server name that the client asked for, SNI), ``alpn``, ``unique_id``
        (bytes), ``netns``; ``tls``, a dict: ``client_certificate`` (whether the client has one), ``verified`` (whether it was
        checked with success), ``version``, ``cipher``, ``client_name`` (the common name of its certificate),
        ``signature_algorithm``, ``key_algorithm``; and ``others``, a dict of bytes by type.

    """
    facts: dict[str, Any] = {}
    others: dict[int, bytes] = {}
    for kind, value in _walk(data):
        if kind in _TEXTS:
            facts[_TEXTS[kind]] = value.decode("utf-8", "replace")
        elif kind == _UNIQUE_ID:
            facts["unique_id"] = value
        elif kind == _TLS:
            facts["tls"] = _read_tls(value)
        elif kind != _NO_OPERATION:
            others[kind] = value
    if others:
        facts["others"] = others
    return facts


def _read_tls(value: bytes) -> dict[str, Any]:
    if len(value) < 5:
        return {}
    client, verify = struct.unpack_from("!BI", value)
    tls: dict[str, Any] = {
        "client_certificate": bool(client & (_HAS_CERTIFICATE | _HAS_CERTIFICATE_OF_SESSION)),
        "verified": verify == 0 and bool(client & (_HAS_CERTIFICATE | _HAS_CERTIFICATE_OF_SESSION)),
    }
    for kind, text in _walk(value[5:]):
        if kind in _TLS_TEXTS:
            tls[_TLS_TEXTS[kind]] = text.decode("utf-8", "replace")
    return tls


def _walk(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 3 <= len(data):
        kind, length = struct.unpack_from("!BH", data, at)
        at += 3
        if at + length > len(data):
            return
        yield kind, data[at : at + length]
        at += length

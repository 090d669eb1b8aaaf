"""The PROXY protocol by its specification (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt): slow and obvious."""

from __future__ import annotations

import enum
import ipaddress
import re
import socket
import struct
from dataclasses import dataclass
from typing import Optional

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TEXT_MAX = 107
LOCAL, PROXY = 0x20, 0x21
INET, INET6, UNIX = 1, 2, 3
TYPE_TLS = 0x20
_SIZES = {0: 0, INET: 12, INET6: 36, UNIX: 216}
_PORT = r"(0|[1-9][0-9]{0,4})"
_LINE = re.compile(rf"PROXY (?:UNKNOWN(?: .*)?|TCP([46]) ([^ ]*) ([^ ]*) {_PORT} {_PORT})\r\n", re.DOTALL)

Address = Optional[tuple[str, Optional[int]]]


@dataclass(frozen=True)
class Header:
    """What a header says, and how long it is."""

    length: int
    #: Of the client, and where it connected to; None where that is not said.
    source: Address = None
    destination: Address = None
    #: The connection has a client beside its peer.
    is_named: bool = False
    speaks_tls: bool = False


class Begin(enum.Enum):
    """What is no header."""

    #: It may become one.
    PART = enum.auto()
    #: It begins like one, and is none.
    WRONG = enum.auto()
    #: It has nothing of one.
    OTHER = enum.auto()


def read_header(data: bytes) -> Header | Begin:
    """Say what the bytes of a connection begin with."""
    if data.startswith(SIGNATURE):
        return _read_binary(data)
    if data.startswith(b"PROXY "):
        return _read_text(data)
    if SIGNATURE.startswith(data) or b"PROXY ".startswith(data):
        return Begin.PART
    # A request may follow an empty line, but not two.
    return Begin.WRONG if data.startswith(SIGNATURE[:4]) else Begin.OTHER


def _read_binary(data: bytes) -> Header | Begin:
    if len(data) < 16:
        return Begin.PART
    command, kind, length = struct.unpack_from("!BBH", data, 12)
    family, transport = kind >> 4, kind & 15
    if command not in (LOCAL, PROXY) or family not in _SIZES or transport > 2:
        return Begin.WRONG
    if command == PROXY and length < _SIZES[family]:
        return Begin.WRONG
    content = data[16 : 16 + length]
    if len(content) < length:
        return Begin.PART
    if command == LOCAL:
        return Header(16 + length)
    addresses, tlvs = content[: _SIZES[family]], content[_SIZES[family] :]
    source: Address = None
    destination: Address = None
    if transport and family in (INET, INET6):
        size, kind = (4, socket.AF_INET) if family == INET else (16, socket.AF_INET6)
        ports = struct.unpack("!HH", addresses[2 * size :])
        source = (socket.inet_ntop(kind, addresses[:size]), ports[0])
        destination = (socket.inet_ntop(kind, addresses[size : 2 * size]), ports[1])
    elif transport and family == UNIX:
        path = addresses[108:]
        # A name that begins with NUL is in a space of its own, and as long as it is.
        destination = (path.decode("utf-8", "surrogateescape") if path[:1] == b"\0" else _text_of(path), None)
    return Header(16 + length, source, destination, bool(transport and family), _speaks_tls(tlvs))


def _text_of(path: bytes) -> str:
    return path.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _speaks_tls(tlvs: bytes) -> bool:
    while len(tlvs) >= 3:
        kind, length = struct.unpack_from("!BH", tlvs)
        value, tlvs = tlvs[3 : 3 + length], tlvs[3 + length :]
        if len(value) < length:
            return False
        if kind == TYPE_TLS and value[:1] and value[0] & 1:
            return True
    return False


def _read_text(data: bytes) -> Header | Begin:
    end = data.find(b"\n", 0, TEXT_MAX)
    if end < 0:
        return Begin.PART if len(data) < TEXT_MAX else Begin.WRONG
    match = _LINE.fullmatch(data[: end + 1].decode("latin-1"))
    if match is None:
        return Begin.WRONG
    version, source, destination, source_port, destination_port = match.groups()
    if version is None:
        return Header(end + 1)
    try:
        ends = [_address(version, text) for text in (source, destination)]
    except ValueError:
        return Begin.WRONG
    ports = int(source_port), int(destination_port)
    if max(ports) > 65535:
        return Begin.WRONG
    return Header(end + 1, (ends[0], ports[0]), (ends[1], ports[1]), is_named=True)


def _address(version: str, text: str) -> str:
    """Write an address as systems do; raise ValueError for what is none."""
    # A zone belongs to the machine that wrote it.
    if version == "6" and "%" not in text:
        return socket.inet_ntop(socket.AF_INET6, ipaddress.IPv6Address(text).packed)
    return str(ipaddress.IPv4Address(text))

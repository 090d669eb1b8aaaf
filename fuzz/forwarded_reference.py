"""Forwarded (RFC 7239) as a trusting server reads it: slow and obvious."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, field
from typing import Optional

#: A pair, and what may follow it. Spaces around it are not of the grammar, but harmless.
_PAIR = re.compile(r"""([^ \t,;"=]+)=("(?:[^"\\]|\\.)*"|[^ \t,;"]+)[ \t]*(?=[,;]|$)""", re.DOTALL)
_NODE = re.compile(r"\[([^\]]*)\](?::(.*))?|([^:]*)(?::([^:]*))?", re.DOTALL)
#: A name of RFC 3986, and perhaps a port.
_HOST = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=-]+(?::[0-9]+)?")
_SCHEMES = {"https": "https", "wss": "https", "http": "http", "ws": "http"}
TRUSTED = [ipaddress.ip_network(each) for each in ("127.0.0.1", "10.0.0.0/8", "2001:db8::/32")]


@dataclass
class Seen:
    """Who asked, by which scheme, for which host."""

    client: tuple[str, int]
    scheme: str
    host: str


@dataclass
class Element:
    """What one proxy says, by lower-cased names."""

    said: dict[str, str] = field(default_factory=dict)


def read_elements(text: str) -> Optional[list[Element]]:
    """Read the list; None for what is none."""
    elements = [Element()]
    at = 0
    while at < len(text):
        if text[at] in " \t;,":
            if text[at] == ",":
                elements.append(Element())
            at += 1
            continue
        match = _PAIR.match(text, at)
        if match is None:
            return None
        name, value = match.groups()
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
        elements[-1].said[name.lower()] = value
        at = match.end()
    return elements


def read_node(text: str) -> Optional[tuple[str, int]]:
    """Give an address and a port; None for what is no address."""
    match = _NODE.fullmatch(text)
    port = ""
    if match is not None:
        bracketed, after_brackets, bare, after_bare = match.groups()
        text, port = (bracketed, after_brackets or "") if bare is None else (bare, after_bare or "")
    if "%" in text:
        # Zones are of one machine, and of no proxy (RFC 3986 section 3.2.2).
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    is_port = re.fullmatch("[0-9]{1,5}", port) is not None and int(port) <= 65535
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return socket.inet_ntop(family, address.packed), int(port) if is_port else 0


def follow(text: str, peer: Seen) -> Seen:
    """Go back from the peer, who is trusted, to the last one who is not."""
    seen = Seen(peer.client, peer.scheme, peer.host)
    for element in reversed(read_elements(text) or []):
        node, host, scheme = (element.said.get(name, "") for name in ("for", "host", "proto"))
        if not (node or host or scheme):
            continue
        seen.scheme = _SCHEMES.get(scheme.lower(), seen.scheme)
        if _HOST.fullmatch(host):
            seen.host = host
        found = read_node(node)
        if found is None:
            break
        seen.client = found
        address = ipaddress.ip_address(found[0])
        if not any(address in network for network in TRUSTED):
            break
    return seen

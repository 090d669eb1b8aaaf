"""The TLS extension of ASGI (https://asgi.readthedocs.io/en/latest/specs/tls.html)."""

from __future__ import annotations

import base64
from typing import Any

from ..http.connection import proxy_facts
from ..loop.loop_thread import scratch_view
from ..native import lib
from ..wire.handshake_facts import read_handshake_facts
from .protocol import Scope

_KNOWN_MAX = 4096
_LINE = 64
_SPECIAL = '"+,;<>\\'
_VERSIONS = {"TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


class _TLSFacts(dict[int, dict[str, Any]]):
    """The ``tls`` extension by the number of its connection: made with the first request of each."""

    def __init__(self) -> None:
        super().__init__()
        # The certificates of the server as text: a few for all connections.
        self._server_certificates: dict[bytes, str] = {}

    def of(self, handle: int) -> dict[str, Any]:
        """Return a connection's extension; the dict is the caller's own."""
        number = lib.sk_res_tls_number(handle)
        found = self.get(number)
        if found is None:
            if len(self) >= _KNOWN_MAX:
                self.clear()
            found = self[number] = self._read(handle)
        return found.copy()

    def _read(self, handle: int) -> dict[str, Any]:
        facts = read_handshake_facts(bytes(scratch_view()[: max(lib.sk_res_tls_facts(handle), 0)]))
        own = facts.server_certificate
        return {
            "server_cert": None if own is None else self._server_certificate(own),
            "client_cert_chain": tuple(_pem(each) for each in facts.client_certificates),
            "client_cert_name": facts.client_name,
            # A certificate that cannot be verified never gets past the handshake.
            "client_cert_error": None,
            "tls_version": facts.version_number or None,
            "cipher_suite": facts.cipher_suite or None,
        }

    def _server_certificate(self, der: bytes) -> str:
        text = self._server_certificates.get(der)
        if text is None:
            if len(self._server_certificates) >= _KNOWN_MAX:
                self._server_certificates.clear()
            text = self._server_certificates[der] = _pem(der)
        return text


class ConnectionFacts:
    """What scopes say of TLS, or of a proxy that speaks the PROXY protocol.

    Args:
        secure: whether the app speaks TLS.
        proxied: whether connections begin with a header of the PROXY protocol.

    """

    def __init__(self, secure: bool, proxied: bool) -> None:
        self._tls = _TLSFacts() if secure else None
        self._proxied = proxied

    def add(self, handle: int, extensions: Scope) -> None:
        """Add to a scope's extensions: ``tls``, and ``proxy_protocol`` with what :func:`read_tlvs` returns."""
        facts = proxy_facts(handle) if self._proxied else None
        if facts is not None:
            extensions["proxy_protocol"] = facts
        if self._tls is not None:
            extensions["tls"] = self._tls.of(handle)
        elif facts is not None and "tls" in facts:
            extensions["tls"] = _tls_of_proxy(facts["tls"])


def _tls_of_proxy(tls: dict[str, Any]) -> dict[str, Any]:
    name = tls.get("client_name")
    return {
        "server_cert": None,
        "client_cert_chain": (),
        "client_cert_name": None if name is None else f"CN={_escaped(name)}",
        "client_cert_error": "not verified" if tls.get("client_certificate") and not tls.get("verified") else None,
        "tls_version": _VERSIONS.get(tls.get("version", "")),
        "cipher_suite": None,
    }


def _escaped(name: str) -> str:
    """Return a name for a distinguished name (RFC 4514 section 2.4)."""
    escaped = "".join(f"\\{each}" if each in _SPECIAL else each for each in name)
    return f"\\{escaped}" if escaped[:1] in ("#", " ") else escaped


def _pem(der: bytes) -> str:
    """Return a certificate as text (RFC 7468)."""
    text = base64.b64encode(der).decode("ascii")
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))

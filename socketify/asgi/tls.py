"""The TLS extension of ASGI (https://asgi.readthedocs.io/en/latest/specs/tls.html)."""

from __future__ import annotations

import base64
from typing import Any

from ..loop.loop_thread import scratch_view
from ..native import lib
from ..wire.handshake_facts import read_handshake_facts

_KNOWN_MAX = 4096
_LINE = 64


class TLSFacts(dict[int, dict[str, Any]]):
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


def _pem(der: bytes) -> str:
    """Return a certificate as text (RFC 7468)."""
    text = base64.b64encode(der).decode("ascii")
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))

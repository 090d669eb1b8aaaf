"""The TLS extension of ASGI (https://asgi.readthedocs.io/en/latest/specs/tls.html)."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any, Optional

from ..loop.loop_thread import scratch_view
from ..native import lib

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
        facts = bytes(scratch_view()[: max(lib.sk_res_tls_facts(handle), 0)])
        version, cipher = struct.unpack_from("!HH", facts)
        blocks = list(_blocks(facts[4:]))
        name: Optional[bytes] = blocks[1] if len(blocks) > 1 else None
        return {
            "server_cert": self._server_certificate(blocks[0]) if blocks and blocks[0] else None,
            "client_cert_chain": tuple(_pem(each) for each in blocks[2:]),
            "client_cert_name": None if name is None else name.decode("utf-8", "replace"),
            # A certificate that cannot be verified never gets past the handshake.
            "client_cert_error": None,
            "tls_version": version or None,
            "cipher_suite": cipher or None,
        }

    def _server_certificate(self, der: bytes) -> str:
        text = self._server_certificates.get(der)
        if text is None:
            if len(self._server_certificates) >= _KNOWN_MAX:
                self._server_certificates.clear()
            text = self._server_certificates[der] = _pem(der)
        return text


def _blocks(data: bytes) -> Iterator[bytes]:
    """Yield the blocks that are complete."""
    while len(data) >= 4:
        (length,) = struct.unpack_from("!I", data)
        if length > len(data) - 4:
            return
        yield data[4 : 4 + length]
        data = data[4 + length :]


def _pem(der: bytes) -> str:
    """Return a certificate as text (RFC 7468)."""
    text = base64.b64encode(der).decode("ascii")
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))

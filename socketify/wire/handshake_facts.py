"""What a TLS handshake agreed on, and who both ends are, as the native side tells it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

_VERSIONS = {0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}


@dataclass(frozen=True)
class HandshakeFacts:
    """What is known of a TLS connection.

    Args:
        version_number: of TLS, as records say it (RFC 8446 section 4.2.1): 0x0304 for 1.3.
        cipher_suite: its number (RFC 8446 appendix B.4): 0x1301 for TLS_AES_128_GCM_SHA256.
        server_certificate: what this client was shown, DER; None if the library does not say.
        client_name: the subject of the client's certificate (RFC 4514), as ``CN=alice,O=Example``; None without a certificate.
        client_certificates: the client's certificate, DER, and those above it that the client sent; all were verified.

    """

    version_number: int
    cipher_suite: int
    server_certificate: Optional[bytes]
    client_name: Optional[str]
    client_certificates: tuple[bytes, ...]

    @property
    def version(self) -> str:
        """The version of TLS as text: ``TLSv1.2`` or ``TLSv1.3``."""
        return _VERSIONS.get(self.version_number, f"0x{self.version_number:04x}")


def read_handshake_facts(data: bytes) -> HandshakeFacts:
    """Return what ``sk_res_tls_facts`` wrote; of a connection that is closed it writes nothing."""
    version, cipher = struct.unpack_from("!HH", data or bytes(4))
    blocks = list(_blocks(data[4:]))
    name = blocks[1].decode("utf-8", "replace") if len(blocks) > 1 else None
    return HandshakeFacts(version, cipher, (blocks[0] or None) if blocks else None, name, tuple(blocks[2:]))


def _blocks(data: bytes) -> Iterator[bytes]:
    """Yield the blocks that are complete."""
    while len(data) >= 4:
        (length,) = struct.unpack_from("!I", data)
        if length > len(data) - 4:
            return
        yield data[4 : 4 + length]
        data = data[4 + length :]

"""Files of certificates for the tests, made afresh; where there is no program openssl, tests that need them are skipped."""

from __future__ import annotations

import shutil
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, Issued, KeyType

from socketify import AppOptions


class Files:
    """A CA, and the files of certificates that it signs."""

    def __init__(self, directory: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl, which makes certificates, is not installed")
        self.directory = directory
        self.ca = Authority(directory / "authority")
        self.ca_file = str(self.ca.certificate)

    def issue(self, name: str, *identities: str, key_type: KeyType = KeyType.ECDSA, **choices: Any) -> dict[str, str]:
        """Write NAME.pem and NAME.key, and give the options that name them."""
        return self.write(name, self.ca.issue(*(identities or ("localhost", "127.0.0.1")), key_type=key_type, **choices))

    def write(self, name: str, issued: Issued) -> dict[str, str]:
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        certificate.write_text("".join(issued.chain))
        key.write_text(issued.key)
        return {"cert_file_name": str(certificate), "key_file_name": str(key)}

    def options(self, name: str = "server", *identities: str, **choices: Any) -> AppOptions:
        return AppOptions(**self.issue(name, *identities), **choices)

    def client(self, **certificate: str) -> ssl.SSLContext:
        """What a client trusts, and who it is."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if certificate:
            context.load_cert_chain(certificate["cert_file_name"], certificate["key_file_name"])
        return context

    def threaded_client(self) -> ssl.SSLContext:
        """What the threaded client of websockets trusts.

        It reads and writes in two threads, which an SSL object of TLS 1.3 does not bear, whatever the server: one of some
        hundred connections hangs (websockets 17.4, CPython 3.11).
        """
        context = self.client()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context


def plain(server: Any) -> socket.socket:
    """Connect without TLS."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.settimeout(10)
    return connection


class Raw:
    """A client that can send bytes which OpenSSL did not make."""

    def __init__(self, server: Any, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.connection = plain(server)

    def __enter__(self) -> Raw:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.send()
                self.incoming.write(self.connection.recv(65536))
            else:
                self.send()
                return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, change: Any = None) -> None:
        data = bytearray(self.outgoing.read())
        if change is not None:
            change(data)
        self.connection.sendall(data)
